// Tells the server the browser's time zone, in which it then shows all times.
(() => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!zone) return;
    const known = `console_zone=${encodeURIComponent(zone)}`;
    if (document.cookie.split("; ").includes(known)) return;
    document.cookie = `${known}; path=/console/; max-age=31536000; samesite=lax`;
    // Once, and never over something that a person has typed: the sign-in page shows no times.
    const isShown = document.documentElement && !location.pathname.endsWith("/login/");
    if (isShown && document.cookie.includes(known)) location.reload();
})();

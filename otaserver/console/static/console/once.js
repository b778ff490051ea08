// What is pressed twice in a row is sent once: the second would be refused, or done a second time.
(() => {
    const SPAN = 10000;
    let sent = new WeakMap();
    document.addEventListener("submit", (event) => {
        if (event.defaultPrevented || event.target.method !== "post") return;
        if (event.timeStamp - (sent.get(event.target) ?? -SPAN) < SPAN) event.preventDefault();
        else sent.set(event.target, event.timeStamp);
    });
    // Back on a page that the browser has kept, all may be sent again.
    window.addEventListener("pageshow", () => { sent = new WeakMap(); });
})();

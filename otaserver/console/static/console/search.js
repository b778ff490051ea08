// Ctrl and K lead to the search box from everywhere; the slash is that of a list's own.
document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    const box = document.querySelector("[data-search]");
    if (!box || !box.offsetParent) return;
    event.preventDefault();
    box.focus();
});

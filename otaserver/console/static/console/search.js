// The slash leads to the search box, unless one is writing.
document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const box = document.querySelector("[data-search]");
    if (!box || !box.offsetParent) return;
    event.preventDefault();
    box.focus();
});

// Lets the keyboard press what is drawn for a pointer alone: links and tabs without an address.
(() => {
    const PRESSED = "a[x-on\\:click]:not([href])";

    const becomeTab = (each, tabs) => {
        each.setAttribute("role", "tab");
        const select = (chosen) => tabs.forEach((tab) => tab.setAttribute("aria-selected", String(tab === chosen)));
        each.addEventListener("click", () => select(each));
        if (each === tabs[0]) select(each);
    };

    const openFilters = () => {
        // They stand at the end of the page, and are drawn over it: whoever has opened them goes on in them.
        requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector("#changelist-filter a")?.focus()));
    };

    const prepare = (each) => {
        const does = each.getAttribute("x-on:click");
        each.tabIndex = 0;
        each.setAttribute("role", "button");
        if (does.startsWith("activeFieldsetTab")) {
            each.parentElement.setAttribute("role", "tablist");
            becomeTab(each, [...each.parentElement.children]);
        }
        each.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            each.click();
            if (does.startsWith("filterOpen")) openFilters();
        });
    };

    document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(PRESSED).forEach(prepare));
})();

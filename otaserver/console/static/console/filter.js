// Completes the words of the filter language: Ctrl and space, or while a word is typed.
(() => {
    const assist = (area, list) => {
        const words = list.dataset.words.split(" ");
        let chosen = 0;
        let found = [];
        const begun = () => area.value.slice(0, area.selectionStart).match(/[\w.-]*$/)[0];
        const hide = () => {
            list.hidden = true;
            area.removeAttribute("aria-activedescendant");
            area.setAttribute("aria-expanded", "false");
        };
        const draw = () => {
            list.replaceChildren(...found.map((word, n) => Object.assign(document.createElement("li"), { id: `word-${n}`, textContent: word, role: "option" })));
            [...list.children].forEach((item, n) => {
                item.setAttribute("role", "option");
                item.setAttribute("aria-selected", String(n === chosen));
                item.addEventListener("mousedown", (event) => { event.preventDefault(); take(n); });
            });
            list.hidden = false;
            area.setAttribute("aria-expanded", "true");
            area.setAttribute("aria-activedescendant", `word-${chosen}`);
        };
        const look = (isAsked) => {
            const start = begun();
            found = words.filter((word) => word.startsWith(start) && word !== start).slice(0, 8);
            chosen = 0;
            if (found.length && (isAsked || start.length > 1)) draw();
            else hide();
        };
        const take = (n) => {
            const at = area.selectionStart;
            area.setRangeText(found[n], at - begun().length, at, "end");
            hide();
            area.dispatchEvent(new Event("input", { bubbles: true }));
            hide();
        };
        area.setAttribute("role", "combobox");
        area.setAttribute("aria-autocomplete", "list");
        area.setAttribute("aria-controls", list.id);
        area.setAttribute("aria-expanded", "false");
        area.addEventListener("input", (event) => event.isTrusted && look(false));
        area.addEventListener("blur", hide);
        area.addEventListener("keydown", (event) => {
            if (event.key === " " && event.ctrlKey) { event.preventDefault(); look(true); return; }
            if (list.hidden) return;
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
                event.preventDefault();
                chosen = (chosen + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
                draw();
            } else if (event.key === "Enter" || event.key === "Tab") { event.preventDefault(); take(chosen); }
            else if (event.key === "Escape") { event.preventDefault(); hide(); }
        });
        area.closest(".c-field").append(list);
    };
    document.addEventListener("DOMContentLoaded", () => {
        const list = document.getElementById("filter-words");
        if (list) assist(document.getElementById("id_filter"), list);
    });
})();

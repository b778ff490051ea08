// Keeps a part of the page up to date: asks for it again and again, and is told "304" while nothing has changed.
(() => {
    const PAUSE = 2000;

    const focusOf = (part) => {
        const focused = document.activeElement;
        if (!focused || !part.contains(focused)) return null;
        if (focused.id) return `#${CSS.escape(focused.id)}`;
        const address = focused.getAttribute("href");
        return address ? `a[href="${CSS.escape(address)}"]` : null;
    };

    // What scrolls by itself stays where somebody reads in it.
    const regionsOf = (part) => [...part.querySelectorAll("[role=region]")];
    const nameOf = (region) => region.getAttribute("aria-labelledby") || region.getAttribute("aria-label");

    const keepLive = (part) => {
        let version = part.dataset.version || "";
        let isOver = false;
        const note = document.getElementById(part.dataset.note);

        const show = (text) => {
            const focus = focusOf(part);
            const scrolled = new Map(regionsOf(part).map((each) => [nameOf(each), [each.scrollLeft, each.scrollTop]]));
            const open = [...part.querySelectorAll("details[open][id]")].map((each) => each.id);
            part.innerHTML = text;
            regionsOf(part).forEach((each) => { [each.scrollLeft, each.scrollTop] = scrolled.get(nameOf(each)) ?? [0, 0]; });
            open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
            if (focus) part.querySelector(focus)?.focus({ preventScroll: true });
            const said = part.querySelector("[data-announce]");
            const status = document.getElementById("live-status");
            if (said && status && status.textContent !== said.dataset.announce) status.textContent = said.dataset.announce;
        };

        const endWatch = () => {
            isOver = true;
            const said = document.getElementById("signed-out").content.cloneNode(true);
            if (note) note.replaceChildren(said);
            else part.prepend(said);
            if (note) note.dataset.lost = "yes";
        };

        const ask = async () => {
            if (document.hidden || isOver) return;
            try {
                const headers = { "X-Requested-With": "fragment", "If-None-Match": version };
                const answer = await fetch(part.dataset.live, { headers, credentials: "same-origin", redirect: "manual" });
                // The one redirect that there is leads to the sign-in.
                if (answer.type === "opaqueredirect") return void endWatch();
                if (answer.status === 200) {
                    version = answer.headers.get("ETag") || "";
                    show(await answer.text());
                }
                if (note) note.dataset.lost = answer.ok || answer.status === 304 ? "" : "yes";
            } catch {
                // The server is away: what is shown grows old, and says so.
                if (note) note.dataset.lost = "yes";
            }
        };

        const again = async () => {
            await ask();
            setTimeout(again, PAUSE);
        };
        setTimeout(again, PAUSE);
        document.addEventListener("visibilitychange", ask);
    };

    document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-live]").forEach(keepLive));
})();

// Shows beside a form what would come of it as it stands, a moment after a change of the fields that it is about.
(() => {
    const follow = (part) => {
        const form = document.querySelector(part.dataset.follows === "form" ? ".c-page form" : part.dataset.follows);
        let waiting;
        let asked = 0;
        let shown;
        const values = () => {
            const given = new FormData(form);
            return new URLSearchParams(part.dataset.of.split(" ").flatMap((name) => given.getAll(name).map((value) => [name, value])));
        };
        const ask = async () => {
            const wanted = values();
            const number = ++asked;
            shown = wanted.toString();
            const address = new URL(part.dataset.address, location.href);
            wanted.forEach((value, name) => address.searchParams.append(name, value));
            const answer = await fetch(address, { headers: { "X-Requested-With": "fragment" }, redirect: "manual" }).catch(() => null);
            // An answer that another question has overtaken is no answer any more.
            if (number !== asked) return;
            if (answer?.type === "opaqueredirect") return void part.replaceChildren(document.getElementById("signed-out").content.cloneNode(true));
            // The server is away: the numbers are not those of what is written now.
            if (!answer?.ok) return void part.replaceChildren(document.getElementById("not-answered").content.cloneNode(true));
            part.innerHTML = await answer.text();
            // What is still being counted is asked for until it is there.
            if (part.querySelector("[data-again]")) later(2000);
        };
        const later = (milliseconds) => {
            clearTimeout(waiting);
            waiting = setTimeout(ask, milliseconds);
        };
        const changed = () => {
            if (values().toString() !== shown) later(250);
        };
        form.addEventListener("input", changed);
        form.addEventListener("change", changed);
        ask();
    };
    document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-follows]").forEach(follow));
})();

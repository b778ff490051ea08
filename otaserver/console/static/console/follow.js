// Shows beside a form what would come of it as it stands, a moment after each change.
(() => {
    const follow = (part) => {
        const form = document.querySelector(part.dataset.follows === "form" ? ".c-page form" : part.dataset.follows);
        let waiting;
        let asked = 0;
        const ask = async () => {
            const values = new URLSearchParams(new FormData(form));
            values.delete("csrfmiddlewaretoken");
            const number = ++asked;
            const address = new URL(part.dataset.address, location.href);
            values.forEach((value, name) => address.searchParams.append(name, value));
            const answer = await fetch(address, { headers: { "X-Requested-With": "fragment" } });
            // An answer that another question has overtaken is no answer any more.
            if (answer.ok && number === asked) part.innerHTML = await answer.text();
        };
        const later = () => {
            clearTimeout(waiting);
            waiting = setTimeout(ask, 250);
        };
        form.addEventListener("input", later);
        form.addEventListener("change", later);
        ask();
    };
    document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-follows]").forEach(follow));
})();

// Sends a package's bytes in pieces, with its SHA-256 computed first. What has arrived stays; a broken upload goes on.
(() => {
    const PIECE = 4 * 1024 * 1024;
    const TRIES = 20;
    const K = Uint32Array.from({ length: 64 }, (_, n) => {
        // The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
        const primes = [];
        for (let p = 2; primes.length <= n; p++) if (primes.every((q) => p % q)) primes.push(p);
        const root = Math.cbrt(primes[n]);
        return (root - Math.floor(root)) * 4294967296;
    });

    class Sha256 {
        constructor() {
            this.state = Uint32Array.of(0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19);
            this.rest = new Uint8Array(0);
            this.length = 0;
            this.words = new Uint32Array(64);
        }

        add(bytes) {
            this.length += bytes.length;
            const all = this.rest.length ? new Uint8Array([...this.rest, ...bytes]) : bytes;
            const whole = all.length - (all.length % 64);
            const view = new DataView(all.buffer, all.byteOffset);
            for (let at = 0; at < whole; at += 64) this.block(view, at);
            this.rest = all.slice(whole);
        }

        block(view, at) {
            const w = this.words;
            const turn = (x, n) => (x >>> n) | (x << (32 - n));
            for (let i = 0; i < 16; i++) w[i] = view.getUint32(at + 4 * i);
            for (let i = 16; i < 64; i++) {
                const a = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
                const b = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
                w[i] = w[i - 16] + a + w[i - 7] + b;
            }
            let [a, b, c, d, e, f, g, h] = this.state;
            for (let i = 0; i < 64; i++) {
                const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
                const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
                [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
            }
            [a, b, c, d, e, f, g, h].forEach((value, i) => (this.state[i] += value));
        }

        hex() {
            const { length } = this;
            const padding = new Uint8Array(((length % 64 < 56 ? 56 : 120) - (length % 64)) + 8);
            padding[0] = 0x80;
            const view = new DataView(padding.buffer);
            view.setUint32(padding.length - 8, Math.floor(length / 536870912));
            view.setUint32(padding.length - 4, (length * 8) >>> 0);
            this.add(padding);
            return [...this.state].map((word) => word.toString(16).padStart(8, "0")).join("");
        }
    }

    const begin = (form) => {
        const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
        const said = document.getElementById("upload-said");
        const bar = document.getElementById("upload-bar");
        const problem = document.getElementById("upload-error");
        const show = (words, done, all) => {
            document.getElementById("upload-progress").hidden = false;
            bar.value = all ? (100 * done) / all : 100;
            said.textContent = `${words}: ${done.toLocaleString()} / ${all.toLocaleString()}`;
        };
        // The one redirect that there is leads to the sign-in: whatever is sent then is sent for nothing.
        const refuseStranger = (answer) => {
            if (answer.type === "opaqueredirect") throw Object.assign(new Error(form.dataset.signedOut), { isFinal: true });
        };
        const piece = async (file, at) => new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());

        const digest = async (file) => {
            const hash = new Sha256();
            for (let at = 0; at < file.size; at += PIECE) {
                hash.add(await piece(file, at));
                show(form.dataset.doing, Math.min(at + PIECE, file.size), file.size);
            }
            return hash.hex();
        };

        const send = async (file, address, received) => {
            let at = received;
            let failures = 0;
            while (at < file.size) {
                try {
                    const answer = await fetch(address, {
                        redirect: "manual",
                        method: "PATCH",
                        headers: { "X-CSRFToken": token, "Upload-Offset": at, "Content-Type": "application/octet-stream" },
                        body: await piece(file, at),
                    });
                    refuseStranger(answer);
                    const told = await answer.json();
                    if (!answer.ok && told.offset === undefined) throw Object.assign(new Error(told.error), { isFinal: true });
                    at = answer.ok ? told.received : told.offset;
                    failures = 0;
                    problem.textContent = "";
                    show(form.dataset.sending, at, file.size);
                } catch (error) {
                    if (error.isFinal || ++failures > TRIES) throw error;
                    problem.textContent = form.dataset.again;
                    await new Promise((go) => setTimeout(go, Math.min(1000 * failures, 10000)));
                    const answer = await fetch(address, { redirect: "manual" }).catch(() => null);
                    if (answer?.ok) at = (await answer.json()).received;
                }
            }
        };

        form.addEventListener("submit", async (event) => {
            event.preventDefault();
            problem.textContent = "";
            form.querySelectorAll(".c-field .c-error").forEach((each) => each.remove());
            const file = document.getElementById("id_file").files[0];
            if (!file) return void (problem.textContent = form.dataset.noFile);
            const button = form.querySelector("[type=submit]");
            button.disabled = true;
            try {
                const values = new FormData(form);
                values.set("filename", file.name.replace(/[^ -~]/g, "_"));
                values.set("length", file.size);
                values.set("sha256", await digest(file));
                const answer = await fetch(location.href, { method: "POST", body: values, redirect: "manual" });
                refuseStranger(answer);
                const told = await answer.json();
                if (answer.ok) {
                    await send(file, told.content, told.received);
                    location.assign(told.next);
                    return;
                }
                problem.textContent = told.error || "";
                for (const [name, sentences] of Object.entries(told.fields || {})) {
                    const field = document.getElementById(`id_${name}`)?.closest(".c-field");
                    const said = document.createElement("p");
                    said.className = "c-error";
                    said.setAttribute("role", "alert");
                    said.textContent = sentences.join(" ");
                    (field || form).append(said);
                }
            } catch (error) {
                problem.textContent = error.message;
            }
            button.disabled = false;
        });
    };

    document.addEventListener("DOMContentLoaded", () => {
        const form = document.getElementById("upload");
        if (form) begin(form);
    });
})();

// Asks once more before a button does what cannot be taken back.
document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.sure;
    if (question && !window.confirm(question)) event.preventDefault();
});

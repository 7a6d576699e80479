"use strict";
(() => {
  const form = document.getElementById("filter");
  const rows = [...document.querySelectorAll("table.claims > tbody")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const { text, rigor, status, open, close } = form.elements;
  const count = form.querySelector("output");

  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/);
    let shown = 0;
    rows.forEach((row, i) => {
      row.hidden = !(
        (!rigor.value || row.dataset.rigor === rigor.value) &&
        (!status.value || row.dataset.status === status.value) &&
        words.every((word) => texts[i].includes(word))
      );
      shown += !row.hidden;
    });
    count.value = `${shown} of ${rows.length} shown`;
  };
  const unfold = (state) =>
    rows.filter((row) => !row.hidden).forEach((row) => { row.querySelector("details").open = state; });

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  open.addEventListener("click", () => unfold(true));
  close.addEventListener("click", () => unfold(false));
  form.hidden = false;
  apply();
})();

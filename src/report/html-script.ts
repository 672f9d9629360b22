/** Sorting and filtering of tables. Runs in the reader's browser; touches order and visibility only, never content. */
export const SCRIPT = `
'use strict';
const order = new Intl.Collator(undefined, { numeric: true });
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== (head.classList.contains('n') ? 'descending' : 'ascending');
      const rising = head.classList.contains('n') ? !up : up;
      heads.forEach(h => h.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', rising ? 'ascending' : 'descending');
      const keyed = [...body.rows].map(row => [row.cells[column].dataset.n ?? row.cells[column].textContent, row]);
      keyed.sort((a, b) => order.compare(a[0], b[0]) * (rising ? 1 : -1));
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
for (const box of document.querySelectorAll('.filter')) {
  const input = box.querySelector('input');
  const said = box.querySelector('output');
  const rows = [...document.getElementById(input.dataset.table).tBodies[0].rows];
  const texts = rows.map(row => row.textContent.toLowerCase());
  const apply = () => {
    const words = input.value.toLowerCase().split(' ').filter(word => word !== '');
    let seen = 0;
    rows.forEach((row, i) => {
      row.hidden = !words.every(word => texts[i].includes(word));
      if (!row.hidden) seen++;
    });
    said.textContent = words.length === 0 ? '' : seen + ' of ' + rows.length;
  };
  input.addEventListener('input', apply);
  box.hidden = false;
}
`;

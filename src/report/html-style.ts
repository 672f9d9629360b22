/** Style sheet of the HTML report: light and dark, phone and paper. Its hash stands in the page's policy. */
export const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --band: #f6f8fa;
  --link: #0b57d0; --bar: #3b76c4; --good: #116329; --good-bg: #e3f6e8; --attention: #7a4a00; --attention-bg: #fff3d6;
  --bad: #a40e26; --bad-bg: #ffebec; --neutral: #24476e; --neutral-bg: #e7f0fb; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0f1318; --ink: #e6e9ee; --soft: #a3adb8; --line: #333c47; --band: #181e26; --link: #8ab4f8;
    --bar: #6ea3e8; --good: #8ddba0; --good-bg: #11301a; --attention: #f2c46d; --attention-bg: #35270a;
    --bad: #ff9ba3; --bad-bg: #3d1418; --neutral: #a9c9f0; --neutral-bg: #142537; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem; max-width: 80rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .25rem 0; }
.soft { color: var(--soft); }
a { color: var(--link); }
.skip { position: absolute; left: -99rem; }
.skip:focus { position: static; }
.verdict { margin: 1rem 0; padding: .75rem 1rem; border-radius: .5rem; border-left: .4rem solid; }
.verdict p:first-child { font-size: 1.1rem; font-weight: 600; }
.good { color: var(--good); background: var(--good-bg); border-color: var(--good); }
.attention { color: var(--attention); background: var(--attention-bg); border-color: var(--attention); }
.bad { color: var(--bad); background: var(--bad-bg); border-color: var(--bad); }
.neutral { color: var(--neutral); background: var(--neutral-bg); border-color: var(--neutral); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
.scroll:focus-visible, button:focus-visible, input:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 1px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .5rem .75rem; color: var(--soft); }
th, td { padding: .4rem .75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { background: var(--band); white-space: nowrap; }
tbody th { font-weight: 500; }
th.n, td.n { text-align: right; white-space: nowrap; padding-inline: .5rem; }
#table-accounts tbody th { min-width: 15rem; }
td { white-space: nowrap; }
td.text, td.name { white-space: normal; min-width: 10rem; }
td.text { min-width: 16rem; }
tbody th { min-width: 12rem; }
#table-expect thead th { white-space: normal; }
#table-expect th, #table-expect td { min-width: 6rem; padding-inline: .5rem; }
#table-expect th.n, #table-expect td.n { min-width: 4.5rem; }
small { display: block; color: var(--soft); font-size: .85em; font-weight: 400; }
summary { cursor: pointer; margin: .75rem 0 .25rem; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button::after { content: "\\2195"; padding-left: .3em; color: var(--soft); }
th[aria-sort=ascending] button::after { content: "\\2191"; color: inherit; }
th[aria-sort=descending] button::after { content: "\\2193"; color: inherit; }
.filter { margin: .5rem 0; }
.filter label { display: inline-flex; gap: .5rem; align-items: center; flex-wrap: wrap; }
input { font: inherit; padding: .3rem .5rem; color: inherit; background: var(--paper); border: 1px solid var(--soft);
  border-radius: .3rem; width: 18rem; max-width: 100%; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .75rem; border: 1px solid var(--line); border-radius: .5rem; }
figcaption { font-weight: 600; font-size: .9rem; margin-bottom: .25rem; }
figure svg { width: 100%; height: auto; display: block; }
figure text { fill: var(--soft); font: 12px system-ui, sans-serif; }
figure .bar { fill: var(--bar); }
figure .rule { stroke: var(--line); }
footer { margin-top: 2rem; padding-top: .75rem; border-top: 1px solid var(--line); font-size: .85rem; color: var(--soft); }
[hidden] { display: none !important; }
@media (max-width: 40rem) { body { padding: .75rem; } th, td { padding: .35rem .5rem; }
  tbody th { min-width: 9rem; } td.text { min-width: 13rem; } td.name { min-width: 8rem; } }
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --line: #999; --band: #eee; --bar: #555; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .filter, .skip { display: none; }
  .scroll { overflow: visible; border: 0; }
  th button::after { content: ""; }
  thead { display: table-header-group; }
  tr, figure, .verdict { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  table { font-size: 8pt; }
  th, td { padding: .15rem .3rem; }
  td.text, tbody th, #table-accounts tbody th, td.name { min-width: 6rem; }
}
`;

/**
 * Puts the program into one file, dist/cli/main.js: it is loaded as one piece, and what V8 compiled of it is saved
 * (bin/mailferry.js). Native packages and those few runs need stay outside, the chart library is in a file of its own.
 * Beside them are the licences of what is inside.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const common = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20.11',
  // Names stay, for those who report a fault; of the rest each start reads every octet.
  minifyWhitespace: true,
  lineLimit: 120,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
};

const program = await build({
  ...common,
  entryPoints: ['src/cli/main.ts'],
  outfile: 'dist/cli/main.js',
  alias: {
    // Its other languages stay outside.
    zod: './node_modules/zod/index.js',
    // As CommonJS: a part of it has libmime so, which would else be inside twice.
    imapflow: './node_modules/imapflow/dist/cjs/imap-flow.js',
  },
  external: ['better-sqlite3', 'better-sqlite3-node-api', '@napi-rs/keyring'],
  plugins: [apart('echarts')],
  // V8 is given the program as a script, which has no module around it.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'moduleUrl' },
  banner: {
    js: "(function (require, __filename) { const moduleUrl = require('node:url').pathToFileURL(__filename).href;",
  },
  footer: { js: '})' },
});

const charts = await build({ ...common, entryPoints: ['src/report/echarts.ts'], outfile: 'dist/cli/echarts.cjs' });

writeFileSync('dist/LICENSES', licences([program, charts]));

/** A module of ours that stays outside, in a file of its own. */
function apart(name) {
  const setup = ({ onResolve }) =>
    onResolve({ filter: new RegExp(`^\\./${name}\\.js$`) }, () => ({ path: `./${name}.cjs`, external: true }));
  return { name: `${name} apart`, setup };
}

function licences(built) {
  const inputs = built.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const folders = new Set(inputs.map(path => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? null));
  folders.delete(null);
  const texts = [...folders].sort().map(folder => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    const files = readdirSync(folder, { withFileTypes: true }).filter(
      file => file.isFile() && /^(licen[cs]e|notice)/i.test(file.name),
    );
    return [`${name} ${version} (${license})`, ...files.map(file => readFileSync(`${folder}/${file.name}`, 'utf8'))];
  });
  return texts.flat().join(`\n\n${'-'.repeat(72)}\n`);
}

// The layers of DESIGN as code. Each rule's comment says what it protects.
const home = (name, packages, where) => ({
  name: `${name}-has-one-home`,
  comment: `${packages.join(', ')} may be imported only from ${where}, so that swapping it touches one folder.`,
  severity: 'error',
  from: { pathNot: where, path: '^src' },
  to: { path: packages.map(p => `node_modules/${p}/`) },
});

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Data flows one way; a cycle means two files are one.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-orphans',
      comment: 'A file nothing imports is dead.',
      severity: 'error',
      from: { orphan: true, path: '^src', pathNot: '^src/cli/main\\.ts$' },
      to: {},
    },
    {
      name: 'bin-to-cli-only',
      comment:
        'bin holds a shebang, the flags of V8, how the built program is loaded, and what to say where it is not built.',
      severity: 'error',
      from: { path: '^bin' },
      to: { pathNot: '^(crypto|fs|module|path|v8|vm)$' },
    },
    {
      name: 'pure-message',
      comment: 'Facts of one message are pure: octets in, facts out.',
      severity: 'error',
      from: { path: '^src/message' },
      to: { path: '^src', pathNot: '^src/(message|errors)' },
    },
    {
      name: 'pure-routing',
      comment: 'Routing turns facts into path parts and knows no server.',
      severity: 'error',
      from: { path: '^src/routing' },
      to: { path: '^src', pathNot: '^src/(routing|message|errors)' },
    },
    {
      name: 'body-stands-alone',
      comment: 'A body is octets with one owner.',
      severity: 'error',
      from: { path: '^src/body' },
      to: { path: '^src', pathNot: '^src/(body|errors)' },
    },
    {
      name: 'net-stands-alone',
      comment: 'Dialling knows neither POP3 nor IMAP.',
      severity: 'error',
      from: { path: '^src/net' },
      to: { path: '^src', pathNot: '^src/(net|errors)' },
    },
    {
      name: 'sources-know-no-destination',
      comment: 'A source reads; it knows neither ledger, run nor destination.',
      severity: 'error',
      from: { path: '^src/sources' },
      to: {
        path: '^src',
        pathNot: '^src/(sources|message|body|net|auth|errors|regular-file)',
      },
    },
    {
      name: 'destinations-know-no-source',
      comment: 'A destination stores; it knows neither ledger, run nor source.',
      severity: 'error',
      from: { path: '^src/destination' },
      to: {
        path: '^src',
        pathNot: '^src/(destination|message|body|net|auth|errors)',
      },
    },
    {
      name: 'ledger-knows-no-adapter',
      comment: 'The ledger records facts; it opens no connection.',
      severity: 'error',
      from: { path: '^src/ledger' },
      to: { path: '^src', pathNot: '^src/(ledger|message|errors)' },
    },
    {
      name: 'run-knows-interfaces-only',
      comment: 'The run drives Source, Destination and Ledger, never an adapter.',
      severity: 'error',
      from: { path: '^src/run' },
      to: {
        path: '^src',
        pathNot: '^src/(run|message|body|routing|errors|sources/source|destination/destination|ledger/ledger)',
      },
    },
    {
      name: 'report-reads-results',
      comment: 'Reports are pure functions of results.',
      severity: 'error',
      from: { path: '^src/(report|progress)' },
      to: {
        path: '^src',
        pathNot: '^src/(report|progress|run|message|errors)',
      },
    },
    {
      name: 'not-to-dev-dep',
      comment: 'What ships must not need development packages.',
      severity: 'error',
      from: { path: '^src' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
    home('commander', ['commander', 'pino'], '^src/cli'),
    home('imapflow', ['imapflow'], '^src/destination/imap'),
    home('node-pop3', ['node-pop3'], '^src/sources/pop3'),
    home('p-limit', ['p-limit'], '^src/run'),
    home('cli-progress', ['cli-progress'], '^src/progress'),
    home('mailparser', ['mailparser'], '^src/message/decoded'),
    home('yaml', ['yaml'], '^src/config'),
    home('socks', ['socks'], '^src/net'),
    home('better-sqlite3', ['better-sqlite3'], '^src/ledger'),
    home('re2js', ['re2js'], '^src/routing'),
    home('oauth4webapi', ['oauth4webapi'], '^src/auth'),
    home('keyring', ['@napi-rs/keyring'], '^src/auth/keyring'),
    home('zod', ['zod'], '^src/(config|run|report)'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
    },
  },
};

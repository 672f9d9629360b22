import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { accountOf, type Home, imap, PASSWORD, PROGRAM, pop3, resultOf, scratch } from './mailferry.js';
import { imapServer, letters, multiset, popServer } from './servers.js';

/** Nine letters to carry, and one the server refuses. */
async function ready(home: Home = scratch(), count = 10) {
  const from = await popServer(letters(count));
  const to = await imapServer({
    faults: { message: (_, { octets }) => (octets.includes('letter 7\r\n') ? { no: '[CANNOT] too fishy' } : 'store') },
  });
  home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive/{year}' }] });
  return { home, from, to };
}

const numbers = { listed: 10, copied: 9, adopted: 0, left: 0, folders: { 'Archive/2019': 9 } };

describe('the result', () => {
  it('is one JSON object of the published schema with --json, and nothing else stands on standard output', async () => {
    const { home } = await ready();
    const finished = await home.run('migrate', '--json');
    expect(finished.out.trimEnd().split('\n')).toHaveLength(1);
    const result = resultOf(finished);
    expect(result).toMatchObject({ version: 1, dryRun: false, exitCode: 1, accounts: [{ name: 'alice', ...numbers }] });
    expect(result.run).toMatch(/^r\d{8}-\d{4}-[0-9a-z]{2}$/);
    expect(finished.code).toBe(1);
  });

  it('is written to --report in each format as it ends, readable by its owner only', async () => {
    for (const [name, holds] of [
      ['report.txt', /refused 1[\s\S]*too fishy/],
      ['report.json', /"too fishy|too fishy/],
      ['report.csv', /uid-8.*too fishy/],
      ['report.html', /<!doctype html>[\s\S]*too fishy/i],
    ] as const) {
      const { home } = await ready();
      const { code, out, err } = await home.run('migrate', '--report', name);
      expect([code, err]).toEqual([1, expect.stringContaining(`The report is in ${name}.\n`)]);
      expect(out).toContain('too fishy');
      expect(home.read(name)).toMatch(holds);
      expect(spawnSync('stat', ['-c', '%a', home.path(name)]).stdout.toString()).toBe('600\n');
    }
  });

  it('can be had later from the state file, for a run that was killed too', async () => {
    const { home, to } = await ready();
    const finished = await home.run('migrate', '--json');
    const { run } = resultOf(finished);
    const { code, out } = await home.run('report', run);
    expect(code).toBe(0);
    expect(out).toContain(`mailferry run ${run}`);
    expect(out).toContain('too fishy');
    expect(await home.run('report', '-o', 'again.json')).toMatchObject({
      code: 0,
      out: '',
      err: 'The report is in again.json.\n',
    });
    expect((await home.run('report', '-o', 'again.json', '--quiet')).err).toBe('');
    expect(JSON.parse(home.read('again.json'))).toEqual(resultOf(finished));
    expect((await home.run('report', 'r20200101-0000-zz')).code).toBe(64);

    const big = await popServer(letters(30).map((octets, i) => ({ octets, uidl: `more-${i}` })));
    home.configure({ accounts: [{ name: 'bob', from: pop3(big), to: imap(to), folder: 'Bob' }] });
    const killed = home.start(['migrate', '--json']);
    to.faults.message = n => {
      if (n < 30) return 'store';
      killed.child.kill('SIGKILL');
      return 'silent';
    };
    expect((await killed.finished).signal).toBe('SIGKILL');
    const after = await home.run('report');
    expect(after.code).toBe(0);
    expect(after.out).toMatch(/ended before its result was recorded/);
    expect(after.out).toContain(`  to    imap://user@127.0.0.1:${to.port}\n`);
    expect((await home.run('status')).out).toMatch(/bob.*broken off[\s\S]*Run mailferry migrate again/);
  });

  it('says nothing with --quiet where all went well, and what failed in a line where it did not', async () => {
    const { home } = await ready(scratch(), 5);
    expect(await home.run('migrate', '--quiet')).toMatchObject({ code: 0, out: '', err: '' });
    expect(await home.run('migrate', '--quiet')).toMatchObject({ code: 0, out: '', err: '' });
    const { home: other } = await ready();
    const { code, out, err } = await other.run('migrate', '--quiet');
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^mailferry: alice: refused 1, in doubt 0.*\n$/);
  });

  it('does not end the run where nobody reads it to its end', async () => {
    const { home, to } = await ready(scratch(), 5);
    const script = `"${process.execPath}" "${PROGRAM}" migrate --events - 2>&1 | head -n 1; "${process.execPath}" "${PROGRAM}" migrate --json | true`;
    const shell = spawn('/bin/sh', ['-c', script], {
      cwd: home.dir,
      env: { PATH: process.env['PATH'], HOME: home.dir, FROM_PASSWORD: PASSWORD, TO_PASSWORD: PASSWORD },
    });
    await new Promise(resolve => shell.once('close', resolve));
    expect(multiset(to.mailbox('Archive/2019').octets)).toEqual(multiset(letters(5)));
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({ exitCode: 0, skipped: { known: 5 } });
  });

  it.skipIf(!existsSync('/dev/full'))(
    'that cannot be written makes the exit code 1, and the mail is there all the same',
    async () => {
      const { home, to } = await ready(scratch(), 5);
      spawnSync('ln', ['-s', '/dev/full', home.path('report.html')]);
      const finished = await home.run('migrate', '--json', '--report', 'report.html');
      expect(finished.code).toBe(1);
      expect(finished.err).toMatch(/cannot write the report to report\.html/);
      expect(resultOf(finished).exitCode).toBe(0);
      expect(to.mailbox('Archive/2019').messages).toHaveLength(5);
      spawnSync('ln', ['-s', '/dev/full', home.path('events')]);
      const events = await home.run('migrate', '--events', 'events');
      expect(events.code).toBe(1);
      expect(events.err).toMatch(/cannot write events/);
    },
  );
});

describe('events', () => {
  const read = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as { type: string; time: string; ref?: string });

  it('go to a file as JSON lines, from the start of the run to its end', async () => {
    const { home } = await ready();
    const { out } = await home.run('migrate', '--events', 'events.ndjson');
    expect(out).toContain('too fishy');
    const events = read(home.read('events.ndjson'));
    expect(events[0]?.type).toBe('run-started');
    expect(events.at(-1)?.type).toBe('run-ended');
    expect(events.filter(({ type }) => type === 'delivered')).toHaveLength(9);
    expect(events.find(({ type }) => type === 'failed')?.ref).toContain('uid-8');
  });

  it('go to standard error with -, where nothing else stands', async () => {
    const { home } = await ready();
    const { code, out, err } = await home.run('migrate', '--events', '-');
    expect([code, out]).toEqual([1, '']);
    expect(read(err).at(-1)?.type).toBe('run-ended');
  });
});

describe('looking without touching', () => {
  it('plan tells the same numbers migrate then reaches, and changes nothing', async () => {
    const { home, to } = await ready();
    const planned = resultOf(await home.run('plan', '--json', '-o', 'plan.json'));
    expect(planned).toMatchObject({ dryRun: true, exitCode: 0 });
    expect(JSON.parse(home.read('plan.json')).result).toEqual(planned);
    expect(existsSync(home.path('mailferry.db'))).toBe(false);
    expect([...to.mailboxes.keys()]).toEqual(['INBOX']);
    // What the server will refuse, no dry run can know.
    expect(planned.accounts[0]).toMatchObject({ listed: 10, copied: 10, folders: { 'Archive/2019': 10 } });
    expect(planned.accounts[0]?.foldersToCreate).toEqual(['Archive/2019']);

    const limited = resultOf(await home.run('plan', '--json', '--limit', '3', '--full'));
    const trial = resultOf(await home.run('migrate', '--json', '--limit', '3'));
    for (const result of [limited, trial])
      expect(result.accounts[0]).toMatchObject({ listed: 10, copied: 3, folders: { 'Archive/2019': 3 } });
    const rest = resultOf(await home.run('migrate', '--dry-run', '--json'));
    expect(rest.accounts[0]).toMatchObject({ listed: 10, copied: 7, skipped: { known: 3 } });
    expect(resultOf(await home.run('migrate', '--json')).accounts[0]).toMatchObject({
      listed: 10,
      copied: 6,
      skipped: { known: 3 },
    });
    expect(resultOf(await home.run('plan', '--json')).accounts[0]).toMatchObject({
      copied: 0,
      skipped: { known: 9, refusedBefore: 1 },
    });
  });

  it('check logs in at both ends and tells what is there', async () => {
    const { home, from, to } = await ready();
    const { code, out } = await home.run('check');
    expect(code).toBe(0);
    expect(out).toMatch(/^alice\n {2}from {4}pop3:.*\n.*ok, plain.*, 10 messages, [\d.]+ kB/);
    expect(out).toMatch(/to {6}imap:.*\n.*ok, plain.*delimiter \//);
    expect(out).toContain('PIPELINING');
    expect(out).toContain('LITERAL+');
    expect(out).toMatch(/\n\nExit 0: 1 account ready\.\n$/);
    expect(from.commands.filter(line => /^(RETR|TOP|DELE)/.test(line))).toEqual([]);
    expect(to.log.filter(line => /^(CREATE|APPEND|SELECT|SUBSCRIBE)/.test(line))).toEqual([]);

    const asJson = JSON.parse((await home.run('check', '--json')).out);
    expect(asJson.accounts).toMatchObject([
      { name: 'alice', from: { ok: true, messages: 10 }, to: { ok: true, delimiter: '/' } },
    ]);
  });

  it('check of a mailbox file says that it did not read it; plan does, and tells that it is cut short', async () => {
    const { home, to } = await ready();
    home.configure({ accounts: [{ name: 'attic', from: { mbox: { path: './old.gz' } }, to: imap(to) }] });
    const mbox = gzipSync('From ines@post.example Mon Jan  7 10:00:00 2019\nSubject: 1\n\nfirst\n');
    writeFileSync(home.path('old.gz'), mbox.subarray(0, mbox.length - 9));
    const { code, out } = await home.run('check');
    expect([code, out]).toEqual([0, expect.stringContaining('ok, files, content not read\n')]);
    const { code: planned, out: told } = await home.run('plan');
    expect([planned, told]).toEqual([1, expect.stringContaining('INPUT_TRUNCATED')]);
  });

  it('check names what is wrong at each end and ends with the code of it', async () => {
    const { to } = await ready();
    const home = scratch();
    const from = await popServer([]);
    home.configure({
      accounts: [
        { name: 'alice', from: pop3(from, { password: { env: 'WRONG_PASSWORD' } }), to: imap({ port: 9 }) },
        { name: 'bob', from: pop3(from), to: imap(to) },
      ],
    });
    const { code, out } = await home.run('check');
    expect(code).toBe(77);
    expect(out).toMatch(/alice\n.*\n +FAILED .*wrong\s+user\s+or\s+password/);
    expect(out).toMatch(/to .*\n +FAILED .*127\.0\.0\.1:9/);
    expect(out).toMatch(/bob\n.*\n +ok/);
    expect(out).toMatch(/\n\nExit 77: 1 of 2 accounts not ready\.\n$/);
    const { accounts } = JSON.parse((await home.run('check', '--json')).out);
    expect(accounts[0].from).toMatchObject({ ok: false, error: { code: 'LOGIN_REFUSED' } });
  });

  it('check keeps the order of the configuration and the width of the screen, and counts one folder as one', async () => {
    const home = scratch();
    const from = await popServer([]);
    const capabilities = Array.from({ length: 40 }, (_, i) => `X-CAPABILITY-${i}`);
    const to = await imapServer({ capabilities });
    home.configure({
      accounts: [
        { name: 'first', from: pop3(from, { password: { env: 'UNSET' } }), to: imap(to) },
        { name: 'second', from: pop3(from), to: imap(to) },
        { name: 'third', from: pop3({ port: 9 }), to: imap(to) },
      ],
    });
    const { code, out } = await home.run('check');
    expect(code).toBe(78);
    expect(out.match(/^\S+$/gm)).toEqual(['first', 'second', 'third']);
    expect(out).toMatch(
      /^first\n {2}from .*\n +FAILED .*UNSET\s+is\s+not\s+set\n[\s\S]* export UNSET='…'[\s\S]*\n {2}to .*\n +ok, plain \(loopback\), /,
    );
    expect(out).toContain(', 1 folder, ');
    expect(out.split('\n').filter(line => line.length > 80)).toEqual([]);
    for (const capability of capabilities) expect(out.split(/\s+/)).toContain(capability);
    const { accounts } = JSON.parse((await home.run('check', '--json')).out);
    expect(accounts).toMatchObject([
      { name: 'first', from: { ok: false, error: { code: 'SECRET_UNAVAILABLE' } }, to: { ok: true } },
      { name: 'second', from: { ok: true }, to: { ok: true } },
      { name: 'third', from: { ok: false }, to: { ok: true } },
    ]);
  });

  it('status --json names both ends as a configuration does: whether with TLS, and an unusual port', async () => {
    const { home, from, to } = await ready();
    const secure = (host: string) => ({ host, user: 'bob', password: { env: 'FROM_PASSWORD' } });
    const bob = { name: 'bob', from: { pop3: secure('pop.example') }, to: { imap: secure('imap.example') } };
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive/{year}' }, bob] });
    await home.run('migrate', 'alice');
    const alice = { source: `pop3://alice@127.0.0.1:${from.port}`, destination: `imap://user@127.0.0.1:${to.port}` };
    const endsIn = async (...more: string[]) => JSON.parse((await home.run('status', '--json', ...more)).out).accounts;
    expect(await endsIn()).toMatchObject([
      alice,
      { source: 'pop3s://bob@pop.example', destination: 'imaps://bob@imap.example' },
    ]);
    expect(await endsIn('--state', 'mailferry.db')).toMatchObject([alice]);
  });

  it('verify that ends early counts all copies that are recorded, looked at or not', async () => {
    const { home, to } = await ready(scratch(), 5);
    await home.run('migrate');
    await to.close();
    const { code, out } = await home.run('verify');
    expect(code).toBe(69);
    expect(out).toContain('\n  recorded 5 copies, verified 0\n');
    expect(out).toMatch(/\nverified 0, failed 0, of 5 recorded copies\n$/);
  });

  it('status needs no server', async () => {
    const { home, from, to } = await ready();
    expect((await home.run('status')).out).toMatch(/mailferry migrate/);
    await home.run('migrate');
    await Promise.all([from.close(), to.close()]);
    const { code, out } = await home.run('status');
    expect(code).toBe(0);
    expect(out).toMatch(/alice +\d{4}-\d\d-\d\d \d\d:\d\d !1 +9 +1 +0 /);
    expect(JSON.parse((await home.run('status', '--json')).out).accounts).toMatchObject([
      { name: 'alice', done: 9, refused: 1, inDoubt: 0, running: null },
    ]);
  });

  it('status tells of each account how it ended, in the words of its server, and of those that never ran', async () => {
    const { home, from, to } = await ready(scratch(), 3);
    home.configure({
      accounts: [
        { name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' },
        { name: 'bob', from: pop3(from, { password: { env: 'WRONG_PASSWORD' } }), to: imap(to), folder: 'Bob' },
        { name: 'carol', from: pop3(from), to: imap(to), folder: 'Carol' },
      ],
    });
    expect((await home.run('migrate', 'alice', 'bob')).code).toBe(77);
    const { code, out } = await home.run('status');
    expect(code).toBe(0);
    expect(out).toMatch(/^alice +\d{4}-\d\d-\d\d \d\d:\d\d +3 /m);
    expect(out).toMatch(/^bob: exit 77, a login was refused\n {2}! LOGIN_REFUSED \(source\): 127[\s\S]*wrong\s+user/m);
    expect(out).toMatch(/Next: Check user and password/);
    expect(out).toMatch(/^carol +never +0 /m);
    expect(out).toMatch(/^carol: no run yet\n {2}Next: Run mailferry migrate/m);
    await home.run('forget', 'alice', '--yes');
    expect((await home.run('status', 'alice')).out).toMatch(/^alice: no run yet$/m);
  });

  it('forget asks first, and afterwards mail that is there is recognised, not doubled', async () => {
    const { home, to } = await ready(scratch(), 5);
    await home.run('migrate');
    expect((await home.run('forget', 'alice')).code).toBe(64);
    const { code, err } = await home.run('forget', 'alcie');
    expect([code, err]).toEqual([64, expect.stringContaining('nothing is recorded of alcie')]);
    expect((await home.run('forget', 'alice', '--yes')).code).toBe(0);
    expect(accountOf(await home.run('migrate', '--json'))).toMatchObject({ exitCode: 0, copied: 0, adopted: 5 });
    expect(to.mailbox('Archive/2019').messages).toHaveLength(5);
  });
});

describe('help', () => {
  it('config sample is a configuration that loads, with every key in it', async () => {
    const home = scratch();
    const sample = (await home.run('config', 'sample')).out;
    writeFileSync(home.path('mailferry.yaml'), sample, { mode: 0o600 });
    // It loads: what is missing afterwards is a password, or the mailbox itself.
    expect((await home.run('status')).err).not.toMatch(/mailferry\.yaml:\d+/);
    for (const key of ['folder:', 'security:', 'pipelining:', 'exactlyOnce:', 'verify:', 'mbox:', 'maildir:'])
      expect(sample).toContain(key);
  });

  it('the configuration in the README loads', async () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const home = scratch();
    home.write('mailferry.yaml', /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? '');
    expect(await home.run('status')).toMatchObject({ code: 0, err: '' });
  });

  it('config schema is a JSON Schema of it', async () => {
    const schema = JSON.parse((await scratch().run('config', 'schema')).out);
    expect(schema.$schema).toMatch(/json-schema\.org/);
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['version', 'accounts', 'state', 'limits']));
  });

  it('--help and --version end with 0, and every command has help', async () => {
    const home = scratch();
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await home.run('--version')).toMatchObject({ code: 0, out: `${version}\n`, err: '' });
    const { code, out } = await home.run('--help');
    expect(code).toBe(0);
    for (const [, command] of out.matchAll(/^ {2}([a-z]+)(?:\|[a-z]+)? /gm)) {
      if (command === 'help') continue;
      const help = await home.run(command ?? '', '--help');
      expect(help).toMatchObject({ code: 0, err: '' });
      expect([command, ...help.out.split('\n').filter(line => line.length > 100)]).toEqual([command]);
    }
    expect(out.split('\n').filter(line => line.length > 100)).toEqual([]);
  });
});

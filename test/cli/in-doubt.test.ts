import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { expect, it } from 'vitest';
import { accountOf, imap, PASSWORD, PROGRAM, pop3, scratch } from './mailferry.js';
import { imapServer, letters, multiset, popServer } from './servers.js';

const SINGLE = ['LITERAL+', 'UIDPLUS', 'AUTH=PLAIN'];

it('the wait before what is in doubt is looked for again is told, with its length', async () => {
  const messages = letters(3);
  const from = await popServer(messages);
  const to = await imapServer({
    capabilities: SINGLE,
    faults: { message: n => (n === 1 ? 'drop' : 'store') },
  });
  const home = scratch();
  home.configure({
    limits: { settleAfter: '6s' },
    accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }],
  });
  const { code, err } = await home.run('migrate');
  expect(code).toBe(0);
  expect(err).toMatch(
    /^alice: not known of (\d+ sent copies|1 sent copy) whether the server stored them; looking again in \d\.\d s$/m,
  );
  expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(messages));
});

it('plan counts what an earlier run left in doubt, as status does, and a plan carries it', async () => {
  const messages = letters(5);
  const from = await popServer(messages);
  const to = await imapServer({ capabilities: SINGLE, faults: { message: () => 'freeze' } });
  const home = scratch();
  home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }] });
  const going = home.start(['migrate']);
  to.faults.message = n => {
    if (n === 1) setImmediate(() => going.child.kill('SIGKILL'));
    return 'freeze';
  };
  await going.finished;
  to.faults.message = () => 'store';
  const [{ inDoubt }] = JSON.parse((await home.run('status', '--json')).out).accounts;
  expect(inDoubt).toBeGreaterThan(0);
  const planned = await home.run('plan', '--json', '-o', 'plan.json');
  const account = accountOf(planned);
  expect(account).toMatchObject({ exitCode: 1, listed: 5, copied: 5 - inDoubt });
  expect(account.inDoubt).toHaveLength(inDoubt);
  expect((await home.run('plan')).out).toContain(`in doubt ${inDoubt}, of 5`);
  expect((await home.run('migrate', '--plan', 'plan.json')).code).toBe(0);
  expect(multiset(to.mailbox('Archive').octets)).toEqual(multiset(messages));
});

it('plan ends with 73 where a migration would, before anything is asked', context => {
  const home = scratch();
  const state = home.path('state');
  mkdirSync(state, { mode: 0o555 });
  chmodSync(home.dir, 0o755);
  const urls = ['--from', 'mbox:Mail', '--to', 'imap://user@127.0.0.1:9', '--state', `${state}/mailferry.db`];
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const env = { PATH: process.env['PATH'], HOME: home.dir, MAILFERRY_TO_PASSWORD: PASSWORD };
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, 'plan', ...urls], {
    cwd: home.dir,
    env,
    ...nobody,
  });
  if (/Cannot find module/.test(stderr.toString())) return context.skip('nobody may not read this checkout');
  expect(stderr.toString()).toMatch(/^mailferry: the state file .* cannot be written: EACCES/m);
  expect(status).toBe(73);
});

it.skipIf(!existsSync('/dev/full'))(
  'a report of a dry run that cannot be written is told with its exit code, and without advice that cannot help',
  async () => {
    const from = await popServer(letters(2));
    const to = await imapServer();
    const home = scratch();
    home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to), folder: 'Archive' }] });
    symlinkSync('/dev/full', home.path('report.html'));
    const { code, err } = await home.run('plan', '--report', 'report.html');
    expect(code).toBe(1);
    expect(err).toMatch(
      /cannot write the report to report\.html.*\n {2}Check the path and free space, then run it again\./,
    );
    expect(err).toContain('exit 1 for that; the dry run itself ended with 0');
  },
);

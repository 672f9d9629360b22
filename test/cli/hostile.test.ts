import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CANARY, HOSTILE_TEXTS } from '../report/samples.js';
import { type Finished, imap, PASSWORD, PROGRAM, pop3, resultOf, scratch } from './mailferry.js';
import { imapServer, letters, popServer } from './servers.js';

/** As strangers send them: UTF-8 or not, in header fields. */
const letter = (text: string, i: number) =>
  Buffer.from(
    `From: "${text}" <${i}@x>\r\nSubject: ${text.replace(/[\r\n\0]/g, ' ')}\r\nDate: Mon, 7 Jan 2019 10:00:00 +0000\r\n` +
      `List-Id: ${text.replace(/[\r\n\0]/g, ' ').slice(0, 200)} <l${i}.x>\r\n\r\n${text.slice(0, 100)}\r\n`,
  );

it('what strangers write reaches no output in a form that does harm', async () => {
  const texts = HOSTILE_TEXTS.filter(text => text !== '');
  const uidls = ['<script>alert(1)</script>', '=cmd|1', '"><img/src=x>', '$' + '{7*7}', '__proto__', "'--"];
  const from = await popServer(
    texts.map((text, i) => ({ octets: letter(text, i), ...(i < uidls.length ? { uidl: uidls[i] ?? '' } : {}) })),
    {
      reply: command => {
        if (command === '') return '+OK \x1b]0;owned\x07\u0085<b>=cmd\r\n';
        return command === 'RETR 3' ? '-ERR \x1b[2J\x9b31m =HYPERLINK("x") <img src=x>\r\n' : undefined;
      },
    },
  );
  const to = await imapServer({
    mailboxes: ['<b>bold', '=1+1'],
    faults: {
      message: n => (n % 7 === 2 ? { no: '[CANNOT] \x1b[31m\u009b<script>x</script> =cmd \x07' } : 'store'),
    },
  });
  const home = scratch();
  const name = '=attic <i>\u202eexe';
  home.write(name, `From a@b Mon Jan  7 10:00:00 2019\nSubject: \x1b[31m=x\n\nFrom \x1b[2J here\n\n`);
  const labels = { folder: 'Archive/{list|none}/{subject|none}' };
  home.configure({
    accounts: [
      { name: '=alice<b>', from: pop3(from), to: imap(to), ...labels },
      { name: 'attic', from: { mbox: { path: home.path(name) } }, to: imap(to), folder: 'Attic/{name}' },
    ],
  });
  const outputs: [string, Finished][] = [];
  const run = async (...args: string[]) => {
    const finished = await home.run(...args);
    outputs.push([args.join(' '), finished]);
    return finished;
  };
  await run('check');
  await run('check', '--json');
  await run('plan', '-o', 'plan.json', '--verbose');
  await run('report', './plan.json', '-o', 'plan.html');
  const { run: id, accounts } = resultOf(
    await run('migrate', '--json', '--events', 'events.ndjson', '--report', 'run.html'),
  );
  expect(accounts[0]?.failed.length).toBeGreaterThan(2);
  expect(accounts[0]?.copied).toBeGreaterThan(10);
  for (const ending of ['txt', 'csv', 'html', 'json']) await run('report', id, '-o', `report.${ending}`);
  await run('report');
  await run('migrate', '--quiet', '--retry-failed');
  await run('status');
  await run('status', '--json');
  await run('explain', '=alice<b>', uidls[0] ?? '');
  await run('rollback', id, '--dry-run');
  await run('rollback', id, '--dry-run', '--json');

  for (const [command, { out, err }] of outputs) {
    expect([command, CANARY.exec(out)?.[0]]).toEqual([command, undefined]);
    expect([command, CANARY.exec(err)?.[0]]).toEqual([command, undefined]);
    expect(`${command}: ${out}${err}`).not.toContain('BUG');
  }
  const written = readdirSync(home.dir).filter(file => /\.(json|html|csv|txt|ndjson)$/.test(file));
  expect(written).toHaveLength(8);
  for (const file of written) {
    const text = home.read(file).replaceAll('\r\n', '\n');
    expect([file, CANARY.exec(text)?.[0]]).toEqual([file, undefined]);
    if (file.endsWith('.html')) {
      expect(text.match(/<script/g)).toHaveLength(1);
      expect(text).not.toMatch(/<(img|svg onload|b|i)>/);
    }
    if (file.endsWith('.csv')) expect(text).not.toMatch(/(^|,)"?[=+\-@]/m);
  }
}, 120_000);

it.skipIf(!existsSync('/dev/full'))(
  'a reader that goes away or a full disk under standard output ends no run; the exit code is 1',
  async () => {
    const to = await imapServer();
    const home = scratch();
    for (const [i, shown] of ['> /dev/full', '| true', '>&-'].entries()) {
      const from = await popServer(letters(3));
      home.configure({ accounts: [{ name: `a${i}`, from: pop3(from), to: imap(to), folder: `A${i}` }] });
      const command = `{ "${process.execPath}" "${PROGRAM}" migrate 2>err; echo $? > code; } ${shown}`;
      const env = { PATH: process.env['PATH'], HOME: home.dir, FROM_PASSWORD: PASSWORD, TO_PASSWORD: PASSWORD };
      // The servers live in this process, so it must not wait here.
      await new Promise(resolve => {
        const shell = spawn('/bin/sh', ['-c', command], { cwd: home.dir, env });
        shell.once('close', resolve);
      });
      expect([shown, to.mailbox(`A${i}`).messages.length]).toEqual([shown, 3]);
      expect([shown, home.read('code')]).toEqual([shown, shown === '>&-' ? '0\n' : '1\n']);
    }
  },
);

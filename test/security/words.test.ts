import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { asFerryError } from '../../src/errors.js';
import { imap, pop3, scratch } from '../cli/mailferry.js';
import { imapServer, letters, popServer } from '../cli/servers.js';
import { destinationAt, signal } from '../destination/imap/open.js';
import { endpointTo } from '../net/servers.js';
import { startImap } from '../servers/imap-fake.js';
import { authority, certificate } from '../servers/tls.js';
import { sourceFor } from '../sources/pop3/setup.js';
import { startHostile } from './hostile.js';

const ca = authority();
const leaf = certificate({ issuer: ca, names: ['127.0.0.1'] });
const endpoint = (port: number) => endpointTo(port, { security: 'starttls', tls: { ca: Buffer.from(ca.cert) } });

test('capabilities told before TLS are forgotten with the rest that was', async () => {
  let asked = 0;
  const server = await startImap({
    starttls: leaf,
    faults: {
      command: line =>
        line === 'CAPABILITY' && asked++ === 0
          ? { before: '* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN X-PLANTED APPENDLIMIT=1 MULTIAPPEND\r\n' }
          : undefined,
    },
  });
  const destination = destinationAt(server.port, { endpoint: endpoint(server.port) });
  const facts = await destination.open(signal);
  expect(asked).toBeGreaterThan(1);
  expect(facts.capabilities.join(' ')).not.toMatch(/X-PLANTED|APPENDLIMIT/);
  await destination.close();
  await server.close();
});

test.each(['LOGIN', 'SELECT', 'greeting'])('a referral at %s is followed nowhere, and shown as text', async where => {
  let calls = 0;
  await using elsewhere = await startHostile({
    does: '',
    exit: [],
    serve: async peer => {
      calls++;
      await peer.silence();
    },
  });
  const referral = `[REFERRAL imap://user;AUTH=*@127.0.0.1:${elsewhere.port}/INBOX]`;
  const server = await startImap({
    ...(where === 'greeting' ? { greeting: `* OK ${referral} go there\r\n` } : {}),
    ...(where === 'LOGIN' ? { refuseLogin: `${referral} go \x1b[2Jthere` } : {}),
    faults: {
      command: (line, tag) =>
        where === 'SELECT' && line.startsWith('SELECT') ? { reply: `${tag} NO ${referral} go there\r\n` } : undefined,
    },
  });
  const destination = destinationAt(server.port);
  const result = await destination
    .open(signal)
    .then(() => destination.ensure({ parts: ['Archive'] }, signal))
    .then(
      () => 'used',
      (error: unknown) => asFerryError(error),
    );
  await destination.close();
  await server.close();
  expect(calls).toBe(0);
  if (where !== 'greeting') expect(`${String(result)} ${JSON.stringify(result)}`).not.toContain('\x1b');
});

test('a challenge for APOP is never answered, and a server with nothing but CRAM-MD5 gets no password', async () => {
  await using server = await startHostile({
    does: '',
    exit: [],
    serve: async peer => {
      await peer.send('+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n');
      for (;;) {
        const line = await peer.line();
        await peer.send(line === 'CAPA' ? '+OK\r\nUIDL\r\nSASL CRAM-MD5 NTLM\r\n.\r\n' : '-ERR no\r\n');
      }
    },
  });
  const source = sourceFor(server);
  await expect(source.open(signal)).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
  await source.close(false);
  expect(server.received).toEqual(['CAPA']);
});

test('a diagnostic report, which would hold the environment, is not written even where Node is told to', async () => {
  const from = await popServer(letters(1), {
    reply: command => (command === 'STAT' ? { send: '', end: 'hang' } : undefined),
  });
  const to = await imapServer();
  const home = scratch();
  home.configure({ accounts: [{ name: 'alice', from: pop3(from), to: imap(to) }] });
  const going = home.start(['check'], {
    NODE_OPTIONS: `--report-on-signal --report-signal=SIGUSR2 --report-uncaught-exception --report-dir=${home.dir}`,
  });
  await expect.poll(() => from.commands.includes('STAT'), { timeout: 20_000 }).toBe(true);
  going.child.kill('SIGUSR2');
  await going.finished;
  expect(readdirSync(home.dir).filter(name => name.startsWith('report'))).toEqual([]);
});

test('NODE_TLS_REJECT_UNAUTHORIZED=0 is said to have no effect, and has none', async () => {
  const from = await popServer(letters(1), { tls: leaf, implicitTls: true });
  const to = await imapServer();
  const home = scratch();
  home.configure({
    accounts: [{ name: 'alice', from: pop3(from, { security: 'tls' }), to: imap(to), folder: 'Archive' }],
  });
  const { code, err } = await home.start(['migrate'], { NODE_TLS_REJECT_UNAUTHORIZED: '0' }).finished;
  expect(code).toBe(78);
  expect(err).toContain('NODE_TLS_REJECT_UNAUTHORIZED has no effect');
  expect(from.commands).toEqual([]);
});

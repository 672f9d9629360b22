import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { imap, pop3, scratch } from './mailferry.js';
import { imapServer, letters, popServer } from './servers.js';

async function monitor(answer: RequestListener) {
  const calls: string[] = [];
  const server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/check` };
}

async function running(ping: string, more: object = {}) {
  const [from, to] = [await popServer(letters(2)), await imapServer()];
  const home = scratch();
  home.configure({
    accounts: [{ name: 'alice', from: pop3(from, more), to: imap(to), folder: 'Archive' }],
    notify: { ping, prometheus: 'metrics.prom' },
  });
  return { home, to };
}

describe('a monitor', () => {
  it('is told of the beginning and the end of a run, and finds its figures in a file', async () => {
    const { calls, url } = await monitor((_, response) => void response.end());
    const { home } = await running(url);
    expect(await home.run('migrate', '--quiet')).toMatchObject({ code: 0, err: '' });
    expect(calls).toEqual(['POST /check/start', 'POST /check']);
    expect(home.read('metrics.prom')).toContain('mailferry_account_copied_messages{account="alice"} 2');
  });

  it('is told of a run that failed', async () => {
    const { calls, url } = await monitor((_, response) => void response.end());
    const { home } = await running(url, { password: { env: 'WRONG_PASSWORD' } });
    expect((await home.run('migrate', '--quiet')).code).toBe(77);
    expect(calls).toEqual(['POST /check/start', 'POST /check/fail']);
  });

  it('is still called when a run was stopped; a second signal meanwhile ends that with 75 too', async () => {
    const { url } = await monitor((request, response) => {
      if (request.url !== '/check/fail') response.end();
      else going.child.kill('SIGINT');
    });
    const { home, to } = await running(url);
    to.faults.command = line => {
      if (!line.startsWith('NAMESPACE')) return undefined;
      going.child.kill('SIGINT');
      // Answered, a run of two messages may be over before the signal comes through.
      return { reply: '' };
    };
    const going = home.start(['migrate']);
    const { code, err } = await going.finished;
    expect([code, err]).toEqual([75, expect.stringContaining('SIGINT again: stopped at once; run again to continue')]);
  });

  const answers: [string, RequestListener, string][] = [
    ['refuses', (_, response) => void response.writeHead(404).end(), 'it answered with status 404'],
    ['sends elsewhere', (_, response) => void response.writeHead(302, { location: '/x' }).end(), 'redirect'],
    ['hangs up', request => void request.socket.destroy(), 'other side closed'],
  ];
  it.each(answers)('that %s costs a line, not the run, and is followed nowhere', async (_, answer, words) => {
    const { calls, url } = await monitor(answer);
    const { home, to } = await running(url);
    const { code, err } = await home.run('migrate', '--quiet');
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining(words) });
    expect(to.mailbox('Archive').octets).toHaveLength(2);
    expect(calls).not.toContain('POST /x');
  });

  it('whose answer never ends is not listened to', async () => {
    const { url } = await monitor((_, response) => {
      response.writeHead(200, { 'content-length': '1000000' });
      response.write('x');
    });
    const { home } = await running(url);
    expect(await home.run('migrate', '--quiet')).toMatchObject({ code: 0, err: '' });
  });
});

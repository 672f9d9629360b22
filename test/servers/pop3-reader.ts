import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * Every message a POP3 server holds, in order, as it serves them: what the tests compare with shares no code with the
 * program under test.
 */
export async function readMaildrop(of: {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly messages: number;
}): Promise<Buffer[]> {
  const socket = connect(of.port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => parts.push(chunk));
  const retrieve = Array.from({ length: of.messages }, (_, i) => `RETR ${i + 1}\r\n`).join('');
  // Asked all at once and read to the end: the replies come in order.
  socket.write(`USER ${of.user}\r\nPASS ${of.password}\r\n${retrieve}QUIT\r\n`);
  await once(socket, 'close');
  const replies = Buffer.concat(parts);
  let at = 0;
  const line = (): string => {
    const end = replies.indexOf('\r\n', at);
    if (end < 0) throw new Error(`the replies end in mid-line: ${replies.toString('latin1', at)}`);
    const text = replies.toString('latin1', at, end);
    at = end + 2;
    return text;
  };
  for (const command of ['greeting', 'USER', 'PASS']) {
    const status = line();
    if (!status.startsWith('+OK')) throw new Error(`${command}: ${status}`);
  }
  return Array.from({ length: of.messages }, (_, i) => {
    const status = line();
    if (!status.startsWith('+OK')) throw new Error(`RETR ${i + 1}: ${status}`);
    // The CRLF before it is the one of the last line, or of the status line.
    const end = replies.indexOf('\r\n.\r\n', at - 2);
    const stuffed = replies.toString('latin1', at, end + 2);
    at = end + 5;
    return Buffer.from(stuffed.replace(/(^|\r\n)\./g, '$1'), 'latin1');
  });
}

import { describe, expect, it } from 'vitest';
import {
  appendUidOf,
  copyUidOf,
  parseStatus,
  refusalOf,
  type StatusResponse,
  wordsOf,
  workRefusalOf,
} from '../../../src/destination/imap/status-response.js';

function status(text: string): StatusResponse {
  const parsed = parseStatus(text);
  if (parsed === null) throw new Error(`not a status response: ${text}`);
  return parsed;
}

describe('status responses', () => {
  it('are taken apart into status, code, argument and words', () => {
    expect(status('NO [OVERQUOTA] Quota exceeded')).toEqual({
      status: 'NO',
      code: 'OVERQUOTA',
      argument: '',
      text: 'Quota exceeded',
    });
    expect(status('ok [permanentflags (\\Seen \\*)] x')).toMatchObject({
      code: 'PERMANENTFLAGS',
      argument: '(\\Seen \\*)',
    });
    expect(status('OK')).toMatchObject({ status: 'OK', code: null, text: '' });
    expect(parseStatus('SEARCH 1 2')).toBeNull();
  });

  it('show the words of the server without its control characters', () => {
    expect(wordsOf(status('NO [ALERT] \x1b[31mred\x07 f\xc3\xbcr'))).toBe('NO [ALERT] \\x1b[31mred\\x07 für');
  });
});

describe('APPENDUID', () => {
  it.each([
    ['OK [APPENDUID 38505 3955] ok', 1, { uidValidity: 38505, uids: [3955] }],
    ['OK [APPENDUID 38505 3:5] ok', 3, { uidValidity: 38505, uids: [3, 4, 5] }],
    ['OK [APPENDUID 38505 2,4:5] ok', 3, { uidValidity: 38505, uids: [2, 4, 5] }],
    ['OK [APPENDUID 38505 5:3] ok', 3, { uidValidity: 38505, uids: [3, 4, 5] }],
  ])('is read from %s', (text, count, expected) => {
    expect(appendUidOf(status(text), count)).toEqual(expected);
  });

  it.each([
    ['OK [APPENDUID 38505 1:4294967295] ok', 1],
    ['OK [APPENDUID 38505 123:124] ok', 1],
    ['OK [APPENDUID 38505 0] ok', 1],
    ['OK [APPENDUID 0 7] ok', 1],
    ['OK [APPENDUID 38505 x] ok', 1],
    ['OK [APPENDUID 38505] ok', 1],
    ['OK [APPENDUID 99999999999 7] ok', 1],
    ['OK [APPENDUID 38505 4294967296] ok', 1],
    ['OK [APPENDUID 38505 5,4] ok', 2],
    ['OK [APPENDUID 38505 5] ok', 2],
    ['NO [APPENDUID 38505 7] no', 1],
  ])('is ignored where it is absurd: %s', (text, count) => {
    expect(appendUidOf(status(text), count)).toBeNull();
  });
});

describe('COPYUID', () => {
  it('gives the new UID of each message', () => {
    expect(copyUidOf(status('OK [COPYUID 9 1:2,7 11:13] ok'), 3)).toEqual(
      new Map([
        [1, 11],
        [2, 12],
        [7, 13],
      ]),
    );
    expect(copyUidOf(status('OK [COPYUID 9 1:4294967295 1:4294967295] ok'), 3)).toEqual(new Map());
  });
});

describe('a refusal', () => {
  it.each([
    ['NO [OVERQUOTA] full', 'work', 'QUOTA_EXCEEDED'],
    ['NO The storage limit has been exceeded', 'work', 'QUOTA_EXCEEDED'],
    ['NO Quota exceeded (mailbox for user is full)', 'work', 'QUOTA_EXCEEDED'],
    ['NO [TRYCREATE] Mailbox does not exist', 'work', 'MAILBOX_REFUSED'],
    ['NO [LIMIT] Message size exceeds fixed maximum message size', 'message', 'MESSAGE_TOO_LARGE'],
    ['BAD [TOOBIG] too large', 'message', 'MESSAGE_TOO_LARGE'],
    ['NO Message contains NUL characters', 'message', 'APPEND_REFUSED'],
    ['NO [LIMIT] APPEND Rate limit hit.', 'work', 'THROTTLED'],
    ['NO Message contains invalid header', 'message', 'APPEND_REFUSED'],
    ['NO [PARSE] no message', 'message', 'APPEND_REFUSED'],
    ['NO [CANNOT] it can never be stored', 'message', 'APPEND_REFUSED'],
    ['NO [LIMIT] no', 'message', 'APPEND_UNCLEAR'],
    ['BAD Command Argument Error. 11', 'message', 'APPEND_UNCLEAR'],
    ['NO APPEND failed', 'message', 'APPEND_UNCLEAR'],
  ])('%s concerns the %s', (text, of, code) => {
    expect(refusalOf(status(text))).toMatchObject({ of, code });
  });

  it.each([
    'NO [SERVERBUG] Internal error occurred. Refer to server log for more information.',
    'NO [CONTACTADMIN] Storage is down',
    'NO [CORRUPTION] Mailbox index is being rebuilt',
    'NO [INUSE] x',
    'NO [UNAVAILABLE] x',
    'NO Temporary failure, please retry',
    'NO APPEND failed: Mailbox is locked, try again',
    'NO System I/O error',
  ])('%s is for the moment', text => {
    expect(refusalOf(status(text))).toMatchObject({ of: 'moment' });
  });

  it('[LIMIT] of keywords concerns these', () => {
    expect(refusalOf(status('NO [LIMIT] Too many keywords in mailbox'))).toEqual({ of: 'keywords' });
  });

  it.each([
    ['BYE [UNAVAILABLE] x', 'THROTTLED'],
    ['BYE [INUSE] x', 'SERVER_BUSY'],
    ['NO try again later', 'THROTTLED'],
  ])('%s is %s where no message is at hand', (text, code) => {
    expect(workRefusalOf(status(text))).toEqual({ of: 'work', code });
  });

  it('carries the pause Microsoft 365 asks for', () => {
    const text = 'NO Request is throttled. Suggested Backoff Time: 299609 milliseconds';
    expect(refusalOf(status(text))).toEqual({ of: 'work', code: 'THROTTLED', retryAfter: 299609 });
  });
});

import { expect, it } from 'vitest';
import { bodyOf } from '../../src/body/body-store.js';
import { FerryError } from '../../src/errors.js';
import { MessageDigester } from '../../src/message/digest.js';
import type { AccountRun } from '../../src/run/account-job.js';
import { Deliveries } from '../../src/run/deliveries.js';
import { type DeliveryEnd, MessageInHand } from '../../src/run/message-in-hand.js';
import { Tally } from '../../src/run/tally.js';

it('a message whose copies meet trouble gives its memory back: each of its deliveries ends', async () => {
  const job = { exactlyOnce: 'off', destination: { features: { lanes: 2 } } };
  const deliveries = new Deliveries({ job } as unknown as AccountRun, new Tally(), { oneByOne: false, left: () => 1 });
  deliveries.trouble = new FerryError('CONNECTION_LOST', 'the server closed the connection', { side: 'to' });
  const body = bodyOf(Buffer.from('octets'));
  const ended: DeliveryEnd[][] = [];
  const message = new MessageInHand(
    {
      ref: { id: '1', occurrence: 1, label: '1', size: null, locator: null },
      facts: { digest: new MessageDigester().finish(), internalDate: null },
      body,
    },
    { open: 3, deliveries: 3 },
    (_message, ends) => ended.push([...ends]),
  );
  for (const path of ['One', 'Two', 'Three'])
    await deliveries.add({ message, folder: { parts: [path] }, path, flags: [] });
  expect(ended).toEqual([[{ kind: 'again' }, { kind: 'again' }, { kind: 'again' }]]);
  expect(() => body.chunks()).toThrow();
});

/** Speed over the last few seconds: messages and octets per second. */
export interface Rate {
  add(messages: number, octets: number): void;
  /** null until a second has passed. */
  perSecond(): { readonly messages: number; readonly octets: number } | null;
}

const SLOTS = 15;

/**
 * Sums per second of the clock, the last 15 of them kept: constant memory whatever the number of events.
 * @param now milliseconds, rising
 */
export function slidingRate(now: () => number): Rate {
  const start = now();
  const second = () => Math.floor((now() - start) / 1000);
  const slots = Array.from({ length: SLOTS }, () => ({ at: -1, messages: 0, octets: 0 }));
  return {
    add(messages, octets) {
      const at = second();
      const slot = slots[at % SLOTS];
      if (slot === undefined) return;
      if (slot.at !== at) Object.assign(slot, { at, messages: 0, octets: 0 });
      slot.messages += messages;
      slot.octets += octets;
    },
    perSecond() {
      const elapsed = (now() - start) / 1000;
      if (elapsed < 1) return null;
      const oldest = second() - SLOTS + 1;
      const window = Math.min(elapsed, elapsed - oldest);
      let messages = 0;
      let octets = 0;
      for (const slot of slots) {
        if (slot.at < Math.max(0, oldest)) continue;
        messages += slot.messages;
        octets += slot.octets;
      }
      return { messages: messages / window, octets: octets / window };
    },
  };
}

/* What a link is sold for, as meters: whatever is sold, the agent takes it, and what one end lets pass, so does the other. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { ratesOf } from '../../src/controller/rates.js';
import { checkRate } from '../../src/node/rates.js';

test('10 Mbit/s: its bits, as many packets as Ethernet’s smallest frames, 20 ms of burst', () => {
  expect(ratesOf(10_000_000n, 1500)).toEqual({
    sent: {
      bitsPerSecond: 10_000_000n,
      packetsPerSecond: 20_834n,
      burstBytes: 25_000,
      burstPackets: 417,
    },
    received: {
      bitsPerSecond: 10_010_000n,
      packetsPerSecond: 20_855n,
      burstBytes: 50_050,
      burstPackets: 835,
    },
  });
  // eight of the largest frames, where 20 ms are less
  expect(ratesOf(1_000_000n, 1500).sent).toMatchObject({ burstBytes: 8 * 1518 });
});

test('without a bandwidth there are no meters', () => {
  expect(ratesOf(0n, 1500)).toEqual({});
});

test('the agent takes every rate; what was let pass at one end passes at the other', () => {
  fc.assert(
    fc.property(fc.bigInt(1n, 2n ** 64n - 1n), fc.integer({ min: 576, max: 9600 }), (bits, mtu) => {
      const { sent, received } = ratesOf(bits, mtu);
      const [from, to] = [checkRate(sent, mtu, 'sent'), checkRate(received, mtu, 'received')];
      const capped = bits < 1000n ? 1000n : bits > 400_000_000_000n ? 400_000_000_000n : bits;
      expect(sent?.bitsPerSecond).toBe(capped);
      for (const word of ['bitsPerSecond', 'packetsPerSecond', 'burstBytes', 'burstPackets'] as const)
        expect(to?.[word]).toBeGreaterThanOrEqual(from?.[word] ?? Infinity);
    }),
    { numRuns: 2000 },
  );
});

/*
 * Whether a path is alive (RFC 5880, RFC 5882): the state machine, the time after which silence is failure, what a
 * session does to the path it watches, and when that is used again. In every context that a label may arrive in.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Instance } from '../support/instance.js';
import type { StateName } from '../support/sessions.js';
import type { Outcome, SessionTable } from '../support/tables.js';
import {
  arrivalOf,
  arrivals,
  arriving,
  control,
  heard,
  machineL,
  session,
  sessions,
  type Bfd,
} from './watched.js';

const start = 1_000_000_000_000n;
const us = 1000n;
const ms = 1_000_000n;

let l: Instance;
let now = start;
beforeAll(async () => {
  l = await Instance.start(machineL());
});
afterAll(() => l?.stop());
beforeEach(() => {
  l.sessions.reset();
  at(0n);
});

/** Ns after the start. */
function at(time: bigint): void {
  now = start + time;
  l.setClock(now);
}

/** The peer's packet, right but for what is given. */
async function hear(id: number, b: Bfd, arrival = arrivalOf(id)): Promise<Outcome> {
  const { discriminator } = session(id);
  return l.run(arrival.at, arriving(arrival, control({ my: discriminator + 1, your: discriminator, ...b })));
}

/** Up, as it comes to be, with its path in use. */
async function bringUp(...ids: number[]): Promise<void> {
  await l.sweep();
  for (const id of ids) {
    expect(await hear(id, { state: 'Down', your: 0 })).toEqual(heard);
    expect(await hear(id, { state: 'Up' })).toEqual(heard);
    expect(l.sessions.state(id)).toMatchObject({ state: 'Up', diagnostic: 0 });
  }
  await l.sweep();
  l.sessions.events();
}

const change = (id: number, fields: Partial<SessionTable>): void =>
  l.sessions.write({ ...session(id), ...fields });

/** The other sessions have seen nothing. */
function othersUntouched(...ids: number[]): void {
  for (const { id } of sessions.filter((s) => !ids.includes(s.id))) {
    expect(l.sessions.state(id).changes, `session ${id}`).toBe(0);
    expect(l.sessions.heard(id).packets, `session ${id}`).toBe(0n);
  }
}

/* RFC 5880 §6.8.6; before each the diagnostic is 5 */
const moves: Array<{ own: StateName; told: StateName; after: StateName; diagnostic: number }> = [
  { own: 'AdminDown', told: 'AdminDown', after: 'AdminDown', diagnostic: 5 },
  { own: 'AdminDown', told: 'Down', after: 'AdminDown', diagnostic: 5 },
  { own: 'AdminDown', told: 'Init', after: 'AdminDown', diagnostic: 5 },
  { own: 'AdminDown', told: 'Up', after: 'AdminDown', diagnostic: 5 },
  { own: 'Down', told: 'AdminDown', after: 'Down', diagnostic: 5 },
  { own: 'Down', told: 'Down', after: 'Init', diagnostic: 5 },
  { own: 'Down', told: 'Init', after: 'Up', diagnostic: 0 },
  { own: 'Down', told: 'Up', after: 'Down', diagnostic: 5 },
  { own: 'Init', told: 'AdminDown', after: 'Down', diagnostic: 3 },
  { own: 'Init', told: 'Down', after: 'Init', diagnostic: 5 },
  { own: 'Init', told: 'Init', after: 'Up', diagnostic: 0 },
  { own: 'Init', told: 'Up', after: 'Up', diagnostic: 0 },
  { own: 'Up', told: 'AdminDown', after: 'Down', diagnostic: 3 },
  { own: 'Up', told: 'Down', after: 'Down', diagnostic: 3 },
  { own: 'Up', told: 'Init', after: 'Up', diagnostic: 5 },
  { own: 'Up', told: 'Up', after: 'Up', diagnostic: 5 },
];

describe.each(arrivals)('by $what', (arrival) => {
  const { session: id } = arrival;
  const { vif, index, discriminator } = session(id);

  test.each(moves)('$own, told $told: $after', async ({ own, told, after, diagnostic }) => {
    const discarded = own === 'AdminDown';
    const changed = after !== own;
    const failed = own === 'Up' && told === 'Down';
    /* the peer that is down may not know us yet */
    for (const your of told === 'Down' || told === 'AdminDown' ? [discriminator, 0] : [discriminator]) {
      l.sessions.reset();
      l.sessions.setState(id, own, 5);
      const outcome = await hear(id, { state: told, your }, arrival);
      expect(outcome).toEqual(discarded ? { action: 'drop', reason: 'session_packet' } : heard);
      const state = l.sessions.state(id);
      expect([state.state, state.diagnostic]).toEqual([after, diagnostic]);
      expect([state.changes, state.since]).toEqual(changed ? [1, now] : [0, 0n]);
      expect([state.failures, state.recent]).toEqual(failed ? [1, 1] : [0, 0]);
      expect(l.sessions.heard(id)).toMatchObject({
        refused: discarded ? 1 : 0,
        packets: discarded ? 0n : 1n,
        at: discarded ? 0n : now,
      });

      const single = vif === 6;
      const link = l.sessions.link(vif);
      expect(link.down).toEqual(failed ? [index] : []);
      expect(link.used).toBe(failed && index === 0 && !single ? 1 : 0);
      const switched = failed && index === 0 && !single;
      expect([link.switches, link.switched]).toEqual(switched ? [1, now] : [0, 0n]);
      expect(link.lost).toBe(failed && single ? 1 : 0);
      const event = { session: id, vif, index, time: now };
      const before = { state: own, diagnostic: 5 };
      const word = (1 << index) | (link.used << 8);
      expect(l.sessions.events()).toEqual(
        changed ? [{ ...event, before, after: { state: after, diagnostic }, link: failed ? word : 0 }] : [],
      );
      othersUntouched(id);
    }
  });

  test('from nothing to Up, and silent for the detection time', async () => {
    await l.sweep();
    expect(l.sessions.state(id)).toMatchObject({ state: 'Down', diagnostic: 0, failures: 0 });
    expect(l.sessions.link(vif).down).toContain(index);
    await hear(id, { state: 'Down', your: 0 }, arrival);
    at(5n * ms);
    await hear(id, { state: 'Init', diagnostic: 1, minTx: 20_000, minRx: 30_000, multiplier: 5 }, arrival);
    expect(l.sessions.state(id)).toMatchObject({ state: 'Up', diagnostic: 0, since: now });
    const { discriminator: theirs, ...said } = l.sessions.heard(id);
    expect(theirs).toBe(discriminator + 1);
    expect(said).toMatchObject({
      minTx: 20_000,
      minRx: 30_000,
      multiplier: 5,
      state: 2 | (1 << 8),
      packets: 2n,
    });
    /* used when the sweep says so */
    expect(l.sessions.link(vif).down).toContain(index);
    await l.sweep();
    expect(l.sessions.link(vif).down).not.toContain(index);
    l.sessions.events();

    /* 5 × 20 ms */
    at(105n * ms);
    await l.sweep();
    expect(l.sessions.state(id).state).toBe('Up');
    expect(l.sessions.events()).toEqual([]);
    at(105n * ms + 1n);
    await l.sweep();
    const last = { lastHeard: start + 5n * ms, leftUp: now, since: now };
    expect(l.sessions.state(id)).toMatchObject({
      state: 'Down',
      diagnostic: 1,
      failures: 1,
      recent: 1,
      ...last,
    });
    expect(l.sessions.link(vif).down).toContain(index);
    expect(l.sessions.events()).toMatchObject([
      { session: id, before: { state: 'Up' }, after: { state: 'Down', diagnostic: 1 } },
    ]);
    /* and no more than once */
    await l.sweep();
    expect(l.sessions.events()).toEqual([]);
  });

  test('polls and finals are counted: each poll is owed a final', async () => {
    await bringUp(id);
    for (const flags of [0x20, 0x20, 0x10, 0x30, 0]) await hear(id, { state: 'Up', flags }, arrival);
    expect(l.sessions.heard(id)).toMatchObject({ polls: 3, finals: 2, packets: 7n, refused: 0 });
    /* demand mode and a control plane of its own are the peer's affair */
    expect(await hear(id, { state: 'Up', flags: 0x02 | 0x08 }, arrival)).toEqual(heard);
  });
});

describe('detection time', () => {
  const cases = [
    { what: 'ours is the slower', minRx: 50_000, minTx: 10_000, multiplier: 3, wanted: 150_000 },
    { what: 'the peer is', minRx: 10_000, minTx: 70_000, multiplier: 4, wanted: 280_000 },
    { what: 'once', minRx: 10_000, minTx: 10_000, multiplier: 1, wanted: 10_000 },
    { what: 'the fastest', minRx: 1000, minTx: 1000, multiplier: 3, wanted: 3000 },
    { what: 'the peer sends at no pace', minRx: 1000, minTx: 0, multiplier: 3, wanted: 3000 },
    { what: 'the slowest', minRx: 1000, minTx: 0xffffffff, multiplier: 255, wanted: 0xffffffff * 255 },
    {
      what: 'still told a slower one',
      minRx: 10_000,
      minTx: 1000,
      sent: 40_000,
      multiplier: 3,
      wanted: 120_000,
    },
    { what: 'told a faster one', minRx: 10_000, minTx: 1000, sent: 4000, multiplier: 3, wanted: 30_000 },
  ];
  test.each(cases)('$what: $wanted µs', async ({ minRx, minTx, multiplier, sent, wanted }) => {
    for (const told of ['Down', 'Init', 'Up'] as const) {
      l.sessions.reset();
      change(1, { minRx, multiplier: 77 });
      l.sessions.sent(1, { minRx: sent ?? 0 });
      l.sessions.setState(1, told === 'Up' ? 'Up' : 'Down');
      at(0n);
      await hear(1, { state: told, minTx, multiplier });
      const reached = { Down: 'Init', Init: 'Up', Up: 'Up' }[told];
      at(BigInt(wanted) * us);
      await l.sweep();
      expect(l.sessions.state(1).state).toBe(reached);
      at(BigInt(wanted) * us + 1n);
      await l.sweep();
      expect(l.sessions.state(1)).toMatchObject({
        state: 'Down',
        diagnostic: 1,
        failures: told === 'Down' ? 0 : 1,
      });
      expect(l.sessions.link(11).down).toEqual([0, 1]);
    }
    change(1, {});
  });

  test('each packet begins it anew, with what that says', async () => {
    await bringUp(1);
    for (let time = 25n; time <= 250n; time += 25n) {
      at(time * ms);
      await hear(1, { state: 'Up' });
      await l.sweep();
      expect(l.sessions.state(1).state).toBe('Up');
    }
    await hear(1, { state: 'Up', multiplier: 10 });
    at(340n * ms);
    await l.sweep();
    expect(l.sessions.state(1).state).toBe('Up');
    await hear(1, { state: 'Up', multiplier: 1 });
    at(350n * ms + 1n);
    await l.sweep();
    expect(l.sessions.state(1).state).toBe('Down');
  });

  test('a session that is down is not silent: nothing happens to it', async () => {
    await l.sweep();
    const before = l.sessions.snapshot();
    at(3_600_000n * ms);
    await l.sweep();
    expect(l.sessions.snapshot()).toBe(before);
  });

  test('the clock went back between two CPUs: a packet of the future is no silence', async () => {
    await bringUp(1);
    at(10n * ms);
    await hear(1, { state: 'Up' });
    at(9n * ms);
    await l.sweep();
    expect(l.sessions.state(1).state).toBe('Up');
  });

  test('sessions beyond the sweep’s end are not looked at', async () => {
    await bringUp(1, 7);
    l.sessions.control({ end: 7 });
    at(1000n * ms);
    await l.sweep();
    expect([1, 7].map((id) => l.sessions.state(id).state)).toEqual(['Down', 'Up']);
    l.sessions.control({ end: 8 });
    await l.sweep();
    expect(l.sessions.state(7).state).toBe('Down');
  });

  test('the sweep’s own record', async () => {
    const { ticks } = l.sessions.control();
    at(0n);
    await l.sweep();
    at(7n * ms);
    await l.sweep();
    at(8n * ms);
    await l.sweep();
    const control = l.sessions.control();
    expect(control).toMatchObject({ ticks: ticks + 3n, last: now });
    expect(control.worst).toBeGreaterThanOrEqual(7n * ms);
  });
});

describe('the path', () => {
  test('a tick that is late ends nothing that may have been heard meanwhile; one on time does', async () => {
    await bringUp(1);
    l.sessions.control({ period: Number(ms) });
    try {
      at(1n * ms);
      await l.sweep();
      at(33n * ms);
      await l.sweep();
      expect(l.sessions.state(1).state).toBe('Up');
      at(34n * ms);
      await l.sweep();
      expect(l.sessions.state(1)).toMatchObject({ state: 'Down', diagnostic: 1 });
    } finally {
      l.sessions.control({ period: 0 });
    }
  });

  test('never up: down until the first Up, whatever else is said', async () => {
    await l.sweep();
    /* the one that was left last */
    expect(l.sessions.link(11)).toMatchObject({ down: [0, 1], used: 1 });
    for (const told of ['Down', 'Down'] as const) {
      await hear(1, { state: told, your: 0 });
      await l.sweep();
      expect(l.sessions.link(11).down).toEqual([0, 1]);
    }
    await hear(1, { state: 'Init' });
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [1], used: 0 });
  });

  test('never up, and the peer holds it down on purpose: as if nobody watched', async () => {
    await l.sweep();
    await hear(1, { state: 'AdminDown', your: 0 });
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [1], used: 0 });
  });

  test('the peer says Down: left in the same run, without a sweep', async () => {
    await bringUp(1, 2);
    const { switches, lost } = l.sessions.link(11);
    at(20n * ms);
    await hear(1, { state: 'Down', diagnostic: 1 });
    expect(l.sessions.link(11)).toEqual({
      down: [0],
      degraded: [],
      used: 1,
      switches: switches + 1,
      switched: now,
      lost,
    });
    expect(l.sessions.state(1)).toMatchObject({ state: 'Down', diagnostic: 3, leftUp: now, lastHeard: now });
    expect(l.sessions.heard(1).state).toBe(1 | (1 << 8));
  });

  test('both down: the last one stays in use, and is given up only for one that is up', async () => {
    await bringUp(1, 2);
    const { lost } = l.sessions.link(11);
    await hear(1, { state: 'Down' });
    at(20n * ms);
    await hear(2, { state: 'Down' });
    expect(l.sessions.link(11)).toMatchObject({ down: [0, 1], used: 1, lost: lost + 1 });
    await l.sweep();
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [0, 1], used: 1, lost: lost + 1 });
    await hear(1, { state: 'Init' });
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [1], used: 0, lost: lost + 1 });
  });

  test('the peer says AdminDown: it stays in use, for as long as that takes (RFC 5882)', async () => {
    await bringUp(1, 2);
    const before = l.sessions.link(11);
    await hear(1, { state: 'AdminDown', diagnostic: 7 });
    expect(l.sessions.state(1)).toMatchObject({ state: 'Down', diagnostic: 3, failures: 0, recent: 0 });
    expect(l.sessions.link(11)).toEqual(before);
    at(3_600_000n * ms);
    await hear(2, { state: 'Up' });
    await l.sweep();
    expect(l.sessions.link(11)).toEqual(before);
    /* and comes back */
    await hear(1, { state: 'Down' });
    await hear(1, { state: 'Up' });
    await l.sweep();
    expect(l.sessions.state(1).state).toBe('Up');
    expect(l.sessions.link(11)).toEqual(before);
  });

  test('we say AdminDown: nothing is held against it, and nothing heard', async () => {
    await bringUp(1, 2);
    const before = l.sessions.link(11);
    at(20n * ms);
    change(1, { adminDown: true });
    await l.sweep();
    expect(l.sessions.state(1)).toMatchObject({ state: 'AdminDown', diagnostic: 7, failures: 0, since: now });
    expect(l.sessions.link(11)).toEqual(before);
    const [event] = l.sessions.events();
    expect(event).toMatchObject({
      session: 1,
      before: { state: 'Up' },
      after: { state: 'AdminDown' },
      link: 0,
    });
    for (const told of ['AdminDown', 'Down', 'Init', 'Up'] as const)
      expect(await hear(1, { state: told })).toEqual({ action: 'drop', reason: 'session_packet' });
    await hear(2, { state: 'Up' });
    at(40n * ms);
    await l.sweep();
    expect(l.sessions.link(11)).toEqual(before);
    expect(l.sessions.state(1).changes).toBe(l.sessions.state(2).changes + 1);

    /* watched again: nothing is known of it */
    change(1, {});
    await l.sweep();
    expect(l.sessions.state(1)).toMatchObject({ state: 'Down', diagnostic: 0, failures: 0 });
    expect(l.sessions.link(11)).toMatchObject({ down: [0], used: 1 });
  });

  test('we say AdminDown of a path that failed: it is used again', async () => {
    await bringUp(1, 2);
    await hear(1, { state: 'Down' });
    change(1, { adminDown: true });
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [], used: 0 });
    change(1, {});
  });

  test('avoided: the sweep moves to another, if there is any', async () => {
    await bringUp(1, 2);
    l.sessions.avoid(11, [0]);
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [], used: 1 });
    await hear(2, { state: 'Down' });
    expect(l.sessions.link(11)).toMatchObject({ down: [1], used: 0 });
    await hear(2, { state: 'Init' });
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [], used: 1 });
    l.sessions.avoid(11, [0, 1]);
    await l.sweep();
    expect(l.sessions.link(11).used).toBe(0);
    l.sessions.avoid(11, []);
    await l.sweep();
    expect(l.sessions.link(11).used).toBe(0);
  });

  test('avoided while its session is down', async () => {
    await bringUp(2);
    expect(l.sessions.link(11)).toMatchObject({ down: [0], used: 1 });
    change(2, { adminDown: true });
    await hear(1, { state: 'AdminDown', your: 0 });
    l.sessions.writeLink({ vif: 11, kind: 'first', paths: [11, 12], avoid: [0] });
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [], used: 1 });
    change(2, {});
    l.sessions.writeLink({ vif: 11, kind: 'first', paths: [11, 12] });
  });

  test('a session that has ended is heard no more, and its path is left as it was', async () => {
    await bringUp(1, 2);
    const before = l.sessions.link(11);
    l.sessions.remove(1);
    expect(await hear(1, { state: 'Down' })).toEqual({ action: 'drop', reason: 'channel_unknown' });
    at(25n * ms);
    await hear(2, { state: 'Up' });
    at(50n * ms);
    await l.sweep();
    expect(l.sessions.link(11)).toEqual(before);
  });
});

describe('used again', () => {
  /* the other path is as if nobody watched it: fit */
  beforeEach(() => {
    change(1, { restore: 100 });
    change(2, { adminDown: true });
  });
  afterAll(() => {
    change(1, {});
    change(2, {});
  });

  /** Fails and is up again, `after` ms after the last packet; from there on, whether it is in use at each ms. */
  async function flap(after: bigint, uses: Record<number, boolean>): Promise<void> {
    const begin = now - start + after * ms;
    at(begin);
    await hear(1, { state: 'Down' });
    await hear(1, { state: 'Init' });
    for (const [time, used] of Object.entries(uses)) {
      at(begin + BigInt(time) * ms);
      await hear(1, { state: 'Up' });
      await l.sweep();
      expect(l.sessions.link(11).down, `${time} ms later`).toEqual(used ? [] : [0]);
    }
  }

  test('at once the first time, then after the hold', async () => {
    await bringUp(1);
    expect(l.sessions.link(11).down).toEqual([]);
    at(10n * ms);
    await hear(1, { state: 'Down' });
    await hear(1, { state: 'Init' });
    at(110n * ms - 1n);
    await hear(1, { state: 'Up' });
    await l.sweep();
    expect(l.sessions.link(11).down).toEqual([0]);
    at(110n * ms);
    await l.sweep();
    expect(l.sessions.link(11).down).toEqual([]);
  });

  test('each failure doubles it, up to 64 times', async () => {
    await bringUp(1);
    for (const times of [1, 2, 4, 8, 16, 32, 64, 64, 64])
      await flap(1n, { 0: false, [times * 50]: false, [times * 100 - 1]: false, [times * 100]: true });
    expect(l.sessions.state(1)).toMatchObject({ failures: 9, recent: 9 });
  });

  test('a failure while it is held begins the hold anew', async () => {
    await bringUp(1);
    await flap(1n, { 0: false, 99: false });
    await flap(0n, { 0: false, 101: false, 199: false, 200: true });
  });

  test('up for eight holds: what was before is forgotten', async () => {
    await bringUp(1);
    await flap(1n, { 99: false, 100: true });
    await flap(1n, { 199: false, 200: true, 1600: true });
    expect(l.sessions.state(1).recent).toBe(2);
    await flap(1n, { 399: false, 400: true, 3200: true, 3201: true });
    expect(l.sessions.state(1)).toMatchObject({ failures: 3, recent: 0 });
    await flap(1n, { 99: false, 100: true });
  });

  test('silence counts as the peer’s word does, AdminDown does not', async () => {
    await bringUp(1);
    at(30n * ms + 1n);
    await l.sweep();
    expect(l.sessions.state(1)).toMatchObject({ state: 'Down', diagnostic: 1, recent: 1 });
    await hear(1, { state: 'Init' });
    at(130n * ms + 1n);
    await hear(1, { state: 'Up' });
    await l.sweep();
    expect(l.sessions.link(11).down).toEqual([]);
    await hear(1, { state: 'AdminDown' });
    await hear(1, { state: 'Init' });
    await l.sweep();
    expect(l.sessions.state(1)).toMatchObject({ state: 'Up', failures: 1, recent: 1 });
    expect(l.sessions.link(11).down).toEqual([]);
  });

  test('without a hold: by the next sweep', async () => {
    change(1, {});
    await bringUp(1);
    for (let time = 1n; time < 5n; time++) {
      at(time * ms);
      await hear(1, { state: 'Down' });
      await hear(1, { state: 'Init' });
      await l.sweep();
      expect(l.sessions.link(11).down).toEqual([]);
    }
  });

  test('at once where the link has no other path: none is no better for having failed', async () => {
    change(2, {});
    await bringUp(1, 2);
    await flap(1n, { 0: false, 20: false });
    expect(l.sessions.link(11)).toMatchObject({ down: [0], used: 1 });
    await hear(2, { state: 'Down' });
    expect(l.sessions.link(11).down).toEqual([0, 1]);
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [1], used: 0 });
    // its failure is remembered: the next hold is twice as long
    expect(l.sessions.state(1)).toMatchObject({ failures: 1, recent: 1 });
    // the other comes back, and has a hold of its own
    change(2, { restore: 100 });
    await hear(2, { state: 'Init' });
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [1], used: 0 });
  });

  test('and not before it is up', async () => {
    change(2, {});
    await bringUp(1, 2);
    await hear(1, { state: 'Down' });
    await hear(2, { state: 'Down' });
    await l.sweep();
    expect(l.sessions.link(11).down).toEqual([0, 1]);
    await hear(1, { state: 'Init' });
    await l.sweep();
    expect(l.sessions.link(11)).toMatchObject({ down: [1], used: 0 });
  });
});

/** One client over those of several replicas: whom it asks, and what it never asks twice. */
import { beforeEach, expect, test } from 'vitest';

import type { cabernet } from '../../gen/cabernet.js';
import { type Client } from '../../src/api/client.js';
import { ApiError, invalidArgument, unavailable } from '../../src/api/errors.js';
import { InfrastructureService } from '../../src/api/infrastructure.js';
import { goingRound } from '../../src/api/several.js';

type Replica = Client<cabernet.infrastructure.v1.InfrastructureService>;

/** What each replica throws; undefined: it answers. */
let faults: (ApiError | undefined)[];
/** A stream that fails does so after so many answers. */
let answers: number;
let asked: string[];
let closed: number;
let client: Replica;

const away = unavailable({ reason: 'UNREACHABLE', message: 'Nobody answers.' });
const standby = unavailable({ reason: 'NOT_LEADER', message: 'Another leads.' });
const broken = unavailable({ reason: 'UNAVAILABLE', message: 'The connection ended.' });
const stranger = unavailable({ reason: 'WRONG_PEER', message: 'It is somebody else.' });
const wrong = invalidArgument({ reason: 'WRONG', message: 'No.' });

function replica(index: number): Replica {
  const answer = async (method: string): Promise<object> => {
    asked.push(`${method} ${index}`);
    const fault = faults[index];
    if (fault) throw fault;
    return { by: index };
  };
  return {
    get: () => answer('get'),
    async *watch() {
      for (let i = 0; i < answers; i++) yield { by: index, i };
      yield await answer('watch');
    },
    apply: () => answer('apply'),
    ready: () => answer('ready'),
    close: () => closed++,
  } as unknown as Replica;
}

beforeEach(() => {
  [faults, answers, asked, closed] = [[], 0, [], 0];
  client = goingRound(InfrastructureService, [0, 1, 2].map(replica));
});

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return (error as ApiError).reason;
}
const get = (): Promise<unknown> => client.get({ name: 'x' });
async function watchAll(): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const one of client.watch({})) seen.push(one);
  return seen;
}

test('goes round to the one that leads, and stays there', async () => {
  faults = [away, standby];
  expect(await get()).toEqual({ by: 2 });
  expect(await get()).toEqual({ by: 2 });
  expect(await watchAll()).toEqual([{ by: 2 }]);
  expect(asked).toEqual(['get 0', 'get 1', 'get 2', 'get 2', 'watch 2']);
  faults = [undefined, undefined, standby];
  expect(await get()).toEqual({ by: 0 });
});

test('asks each once, and throws what tells most', async () => {
  faults = [away, standby, away];
  expect(await reasonOf(get())).toBe('NOT_LEADER');
  expect(asked).toHaveLength(3);
  faults = [away, away, away];
  expect(await reasonOf(get())).toBe('UNREACHABLE');
  faults = [standby, stranger, away];
  expect(await reasonOf(get())).toBe('WRONG_PEER');
  expect(asked).toHaveLength(9);
});

test('what may have been done is not asked of another; the next call is', async () => {
  faults = [broken];
  expect(await reasonOf(get())).toBe('UNAVAILABLE');
  expect(asked).toEqual(['get 0']);
  expect(await get()).toEqual({ by: 1 });
});

test('a refusal is one', async () => {
  faults = [wrong];
  expect(await reasonOf(get())).toBe('WRONG');
  expect(await reasonOf(get())).toBe('WRONG');
  expect(asked).toEqual(['get 0', 'get 0']);
});

test('a stream that has begun to answer is not begun again', async () => {
  faults = [standby];
  answers = 2;
  const seen: unknown[] = [];
  const watching = (async () => {
    for await (const one of client.watch({})) seen.push(one);
  })();
  expect(await reasonOf(watching)).toBe('NOT_LEADER');
  expect(seen).toHaveLength(2);
  expect(asked).toEqual(['watch 0']);
  expect(await watchAll()).toHaveLength(3);
  expect(asked).toEqual(['watch 0', 'watch 1']);
});

test('a stream of requests goes to one only', async () => {
  faults = [standby];
  expect(await reasonOf(client.apply([]))).toBe('NOT_LEADER');
  expect(asked).toEqual(['apply 0']);
  expect(await client.apply([])).toEqual({ by: 1 });
});

test('is ready when one is, and closes all', async () => {
  faults = [away, undefined, away];
  await client.ready(1);
  faults = [away, away, away];
  expect(await reasonOf(client.ready(1))).toBe('UNREACHABLE');
  client.close();
  expect(closed).toBe(3);
});

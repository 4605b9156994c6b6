/** The Watch method: what a caller may see, each change once and in order. */
import { ApiError, invalidArgument, outOfRange } from '../api/errors.js';
import { type EventType, types } from '../api/types.js';
import { type Batch, type StoreEvent, StoreError } from '../store/index.js';
import { type Access, type Caller } from './access.js';
import { type Item, type Shape } from './kind.js';
import { formatToken, parseToken, type Position } from './resume.js';
import { RESOURCE_PREFIX, type State, translateStoreError } from './state.js';
import { shownResource } from './show.js';

export interface WatchRequest {
  readonly collections: readonly string[];
  readonly resumeToken: string;
  readonly includeCurrent: boolean;
}

export interface WatchResponse<R> {
  readonly type: EventType;
  readonly resource?: R;
  readonly resumeToken: string;
}

type Test = (kind: string, name: string) => boolean;

/** Each is asked about each event. */
const MOST_COLLECTIONS = 100;

/** @throws ApiError COLLECTION, TOO_MANY, RESUME_TOKEN, RESUME_TOKEN_EXPIRED, and what befalls the store */
export async function* watchResources<Bodies extends Shape<Bodies>, R>(
  state: State<Bodies>,
  access: Access<Bodies>,
  caller: Caller,
  request: WatchRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchResponse<R>, void> {
  const { length } = request.collections;
  if (length > MOST_COLLECTIONS)
    throw invalidArgument({
      reason: 'TOO_MANY',
      field: 'collections',
      message: `${length} collections in one watch; at most ${MOST_COLLECTIONS}. \`-\` stands for any id, none for all there is.`,
    });
  const chosen = request.collections.map((text, i) => state.catalogue.collection(text, `collections[${i}]`));
  const wanted: Test = (kind, name) =>
    (chosen.length === 0 || chosen.some((one) => one.kind === kind && one.has(name))) &&
    access.sees(caller, kind as keyof Bodies & string, name);
  const show = ({ kind, body }: Item<Bodies>, revision: number): R =>
    shownResource(state.catalogue, access, caller, kind, body, revision) as R;

  let from: Position = { revision: state.revision, events: undefined };
  if (request.resumeToken !== '') {
    from = parseToken(request.resumeToken);
  } else if (request.includeCurrent) {
    const resumeToken = formatToken(from);
    // all of one moment: nothing awaits in between
    const now = [...state.catalogue.kindNames()].flatMap((kind) =>
      state
        .all(kind)
        .filter(({ name }) => wanted(kind, name))
        .map((body) => show({ kind, body }, state.held(body.name)?.revision ?? 0)),
    );
    // whoever leaves among them has not seen the rest: there is no resuming yet
    for (const resource of now) yield { type: types.EventType.EVENT_TYPE_CURRENT, resource, resumeToken: '' };
    yield { type: types.EventType.EVENT_TYPE_SYNCED, resumeToken };
  }
  try {
    const after = from.events === undefined ? from.revision : from.revision - 1;
    for await (const batch of state.store.watch(RESOURCE_PREFIX, after, { signal }))
      yield* events(batch, from, wanted, show, state);
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'COMPACTED' || error.code === 'AHEAD')) {
      throw outOfRange({
        reason: 'RESUME_TOKEN_EXPIRED',
        field: 'resume_token',
        message: 'The history does not reach back to resume_token; begin anew with include_current.',
        cause: error,
      });
    }
    throw error instanceof ApiError ? error : translateStoreError(error);
  }
}

function* events<Bodies extends Shape<Bodies>, R>(
  batch: Batch,
  from: Position,
  wanted: Test,
  show: (item: Item<Bodies>, revision: number) => R,
  state: State<Bodies>,
): Generator<WatchResponse<R>, void> {
  for (const [i, event] of batch.events.entries()) {
    if (batch.revision === from.revision && i < (from.events ?? 0)) continue;
    const item = itemOf(event, state);
    if (!item || !wanted(item.kind, item.body.name)) continue;
    const last = i === batch.events.length - 1;
    yield {
      type: event.kind === 'put' ? types.EventType.EVENT_TYPE_CHANGED : types.EventType.EVENT_TYPE_DELETED,
      resource: show(item, batch.revision),
      resumeToken: formatToken({ revision: batch.revision, events: last ? undefined : i + 1 }),
    };
  }
}

function itemOf<Bodies extends Shape<Bodies>>(
  event: StoreEvent,
  state: State<Bodies>,
): Item<Bodies> | undefined {
  const entry = event.kind === 'put' ? event.entry : event.previous;
  return entry && state.catalogue.decode(entry.value);
}

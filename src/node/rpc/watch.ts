/** Watch */
import { type cabernet } from '../../../gen/cabernet.js';
import { v1 } from '../../api/node.js';
import { type Draft, type Message } from '../../api/message.js';
import { type Agent } from '../agent.js';
import { type WatchEvent } from '../watch.js';

type Response = Draft<cabernet.node.v1.WatchResponse>;

const TYPES = {
  current: v1.EventType.EVENT_TYPE_CURRENT,
  synced: v1.EventType.EVENT_TYPE_SYNCED,
  changed: v1.EventType.EVENT_TYPE_CHANGED,
  deleted: v1.EventType.EVENT_TYPE_DELETED,
  applied: v1.EventType.EVENT_TYPE_APPLIED,
  lost: v1.EventType.EVENT_TYPE_LOST,
} as const;

function message(event: WatchEvent): Response {
  const { kind, time, ...rest } = event;
  return { type: TYPES[kind], timeNs: time, ...rest };
}

export async function* watch(
  agent: Agent,
  request: Message<cabernet.node.v1.WatchRequest>,
  signal: AbortSignal,
): AsyncGenerator<Response, void> {
  const watcher = agent.watchers.open(request.includeCurrent ? agent.states.current() : undefined);
  const end = (): void => agent.watchers.close(watcher);
  signal.addEventListener('abort', end, { once: true });
  try {
    for (let events = await watcher.next(); events; events = await watcher.next()) yield* events.map(message);
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}

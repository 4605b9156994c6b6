/* One frame through the tracing build, over the maps of a test's data plane: what each look-up said. */
import { TraceEvent, TraceKind } from '../../gen/layout.js';
import { BpfObject, XdpAction } from '../../native/lib/index.js';
import { objectPath, type Instance } from './instance.js';

export interface Traced {
  /** In order, by lower-case kind. */
  events: Array<Pick<TraceEvent, 'node' | 'vif' | 'found'> & { kind: string; words: number[] }>;
  redirected: boolean;
}

export async function trace(instance: Instance, ifindex: number, frame: Buffer): Promise<Traced> {
  const object = BpfObject.open(objectPath('cabernet-trace'));
  try {
    for (const { name, internal } of object.describeMaps()) {
      if (internal || name === 'trace_events') continue;
      object.setMaxEntries(name, instance.map(name).maxEntries);
      object.reuseMap(name, instance.map(name));
    }
    await object.load();
    const zero = Buffer.alloc(4);
    const variables = object.map('.bss');
    const bytes = variables.lookup(zero);
    if (!bytes) throw new Error('the tracing build has no variables');
    bytes.writeUInt32LE(ifindex, object.variable('trace_ifindex').offset);
    variables.update(zero, bytes);
    const { retval } = await object
      .program('cabernet_trace')
      .testRun({ data: frame, netns: instance.netns, xdp: {} });
    const count = variables.lookup(zero)?.readUInt32LE(object.variable('trace_count').offset) ?? 0;
    const events = Array.from({ length: count }, (_, i) => {
      const key = Buffer.alloc(4);
      key.writeUInt32LE(i);
      const found = object.map('trace_events').lookup(key) ?? Buffer.alloc(TraceEvent.size);
      const { kind, node, vif, found: id, words } = TraceEvent.decode(found);
      const [name = ''] = Object.entries(TraceKind).find(([, value]) => value === kind) ?? [];
      return { kind: name.slice('TRACE_'.length).toLowerCase(), node, vif, found: id, words: [...words] };
    });
    return { events, redirected: retval === XdpAction.REDIRECT };
  } finally {
    object.close();
  }
}

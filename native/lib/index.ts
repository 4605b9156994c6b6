// libbpf-ts: a typed binding of libbpf, and of the netlink that goes with it.
export { BpfError, type BpfErrorFacts } from './error.js';
export {
  BpfObject,
  type ConstantValue,
  type MapDescription,
  type ObjectOptions,
  type ProgramDescription,
} from './object.js';
export {
  BpfMap,
  possibleCpus,
  type MapDevice,
  type MapOptions,
  type MapValue,
  type UpdateOptions,
} from './map.js';
export { MapFlags, type MapType, type UpdateMode } from './map-types.js';
export { TypedMap, type Codec } from './typed-map.js';
export { BpfProgram, type AttachOptions, type TestRunOptions, type TestRunResult } from './program.js';
export { readXdpContext, XdpAction, xdpContext, type XdpContext } from './xdp.js';
export { XdpLink, type XdpLinkInfo } from './link.js';
export { RingBuffer, type RingBufferOptions } from './ring.js';
export * from './btf.js';
export type { BtfVariable } from './btf-variables.js';
export { readBtf } from './elf.js';
export { generateLayout, type LayoutOptions } from './layout.js';
export * from './netlink/index.js';
export * from './netns.js';
export * from './ethtool.js';

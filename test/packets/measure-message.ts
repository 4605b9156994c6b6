/* A message of measurement (bpf/measurement.h), as its bytes are on the wire: written here once more. */
export const MESSAGE_BYTES = 80;

export interface Message {
  version: number;
  flags: number;
  length: number;
  my: number;
  your: number;
  sequence: number;
  sent: bigint;
  echoed: bigint;
  held: bigint;
  packets: bigint;
  received: bigint;
  lost: bigint;
  block: number;
  loss: number;
  variation: number;
  broken: number;
}

export function parse(bytes: Buffer): Message {
  return {
    version: bytes.readUInt8(0),
    flags: bytes.readUInt8(1),
    length: bytes.readUInt16BE(2),
    my: bytes.readUInt32BE(4),
    your: bytes.readUInt32BE(8),
    sequence: bytes.readUInt32BE(12),
    sent: bytes.readBigUInt64BE(16),
    echoed: bytes.readBigUInt64BE(24),
    held: bytes.readBigUInt64BE(32),
    packets: bytes.readBigUInt64BE(40),
    received: bytes.readBigUInt64BE(48),
    lost: bytes.readBigUInt64BE(56),
    block: bytes.readUInt32BE(64),
    loss: bytes.readUInt32BE(68),
    variation: bytes.readUInt32BE(72),
    broken: bytes.readUInt32BE(76),
  };
}

export function write(m: Message): Buffer {
  const bytes = Buffer.alloc(MESSAGE_BYTES);
  bytes.writeUInt8(m.version, 0);
  bytes.writeUInt8(m.flags, 1);
  bytes.writeUInt16BE(m.length, 2);
  for (const [place, word] of [
    [4, m.my],
    [8, m.your],
    [12, m.sequence],
    [64, m.block],
    [68, m.loss],
    [72, m.variation],
    [76, m.broken],
  ] as const)
    bytes.writeUInt32BE(word >>> 0, place);
  for (const [place, word] of [
    [16, m.sent],
    [24, m.echoed],
    [32, m.held],
    [40, m.packets],
    [48, m.received],
    [56, m.lost],
  ] as const)
    bytes.writeBigUInt64BE(BigInt.asUintN(64, word), place);
  return bytes;
}

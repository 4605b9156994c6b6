// What comes out of the sender: captured at the other end of its veth, and read.

/** Every frame, as `time in ns` and its bytes. */
export const CAPTURE = `
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
s.setsockopt(socket.SOL_SOCKET, 35, 1)
s.bind(("data", 3))
print("ready", flush=True)
while True:
    frame, extra, _, _ = s.recvmsg(2048, 64)
    if frame[12:14] != b"\\x88\\xb5": continue
    seconds, ns = struct.unpack("qq", extra[0][2][:16])
    print(seconds * 10**9 + ns, frame.hex(), flush=True)
`;

export interface Packet {
  /** ns; when it arrived. */
  readonly at: bigint;
  readonly frame: Buffer;
  readonly id: number;
  /** Of the frame around it, for the data plane. */
  readonly discriminator: number;
  readonly diagnostic: number;
  readonly state: number;
  readonly poll: boolean;
  readonly final: boolean;
  readonly multiplier: number;
  readonly mine: number;
  readonly yours: number;
  readonly minTx: number;
  readonly minRx: number;
}

/** The type of the channel that a packet is in. */
export function channelOf({ frame }: Pick<Packet, 'frame'>): number {
  return frame.readUInt32BE(24) & 0xffff;
}

/** A line of it. */
export function parse(line: string): Packet {
  const [time = '', hex = ''] = line.split(' ');
  const frame = Buffer.from(hex, 'hex');
  const bfd = frame.subarray(28);
  return {
    at: BigInt(time),
    frame,
    id: frame.readUInt32LE(16),
    discriminator: frame.readUInt32LE(20),
    diagnostic: bfd.readUInt8(0) & 31,
    state: bfd.readUInt8(1) >> 6,
    poll: (bfd.readUInt8(1) & 0x20) !== 0,
    final: (bfd.readUInt8(1) & 0x10) !== 0,
    multiplier: bfd.readUInt8(2),
    mine: bfd.readUInt32BE(4),
    yours: bfd.readUInt32BE(8),
    minTx: bfd.readUInt32BE(12),
    minRx: bfd.readUInt32BE(16),
  };
}

/** Between one and the next; in intervals of so many ms. */
export function gaps(packets: readonly Packet[], ms: number): number[] {
  return packets
    .slice(1)
    .map((packet, i) => Number(packet.at - (packets[i]?.at ?? packet.at)) / (ms * 1_000_000));
}

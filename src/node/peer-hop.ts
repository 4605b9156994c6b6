/** The headers in front of a BFD packet to a neighbour (RFC 5881), whole: it is always of one length. Pure. */
import { Limit } from '../dataplane/index.js';
import { type Address } from './address.js';
import { type HopRecord, hopRecord, type UnderlayWay } from './hop.js';

/** RFC 5881 §5: no router has passed it on (RFC 5082). */
const TTL = 255;
/** RFC 4594: network control. */
const CS6 = 48;
/** RFC 5881 §4: of the dynamic ports, one a session. */
const FIRST_PORT = 49152;
const PORTS = 16384;
const UDP_BYTES = 8;
const CONTROL_BYTES = 24;

export interface PeerAddresses {
  readonly local: Address;
  readonly remote: Address;
}

function checksum(view: DataView, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i += 2) sum += view.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export function peerHopRecord(addresses: PeerAddresses, way: UnderlayWay, session: number): HopRecord {
  const record = hopRecord({ ...addresses, dscp: CS6, udpChecksum: false }, way);
  const { buffer, byteOffset } = record.ip;
  const view = new DataView(buffer, byteOffset);
  const payload = UDP_BYTES + CONTROL_BYTES;
  const header = record.family === 4 ? 20 : 40;
  if (record.family === 4) {
    view.setUint16(2, header + payload);
    view.setUint8(8, TTL);
    view.setUint16(10, checksum(view, header));
  } else {
    view.setUint16(4, payload);
    view.setUint8(7, TTL);
  }
  view.setUint16(header, FIRST_PORT + (session % PORTS));
  view.setUint16(header + 2, Limit.LIMIT_UDP_PORT_BFD);
  view.setUint16(header + 4, payload);
  return record;
}

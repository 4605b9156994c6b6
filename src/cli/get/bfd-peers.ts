/** `cabernet get bfdPeers`: the neighbours on the underlay that are watched. */
import { delay } from '../units.js';
import { type Found, type Kind, rowsOf } from './kind.js';

export const bfdPeers: Kind = {
  columns: [
    { key: 'bfdPeer', title: 'BFD PEER' },
    { key: 'machine', title: 'MACHINE' },
    { key: 'by', title: 'BY' },
    { key: 'remote', title: 'TO' },
    { key: 'sends', title: 'SENDS' },
    { key: 'detection', title: 'DOWN AFTER' },
    { key: 'failures', title: 'FAILURES', align: 'right' },
    { key: 'state', title: 'STATE' },
    { key: 'why', title: 'WHY' },
  ],
  async read(_, agents) {
    const { answers, silent } = await agents.ask((agent) => agent.bfdPeers());
    const found = rowsOf(answers, ({ bfdPeer, owner, state, mac, failed, liveness }, machine): Found => {
      const name = (bfdPeer?.name ?? '').replace(/^bfdPeers\//, '');
      const { intervalUs = 0, detectionUs = 0n } = liveness ?? {};
      const row = {
        bfdPeer: name,
        machine,
        owner,
        by: bfdPeer?.wire || `${bfdPeer?.interface ?? ''}${bfdPeer?.vlan ? ` VLAN ${bfdPeer.vlan}` : ''}`,
        local: bfdPeer?.localAddress ?? '',
        remote: bfdPeer?.wire ? mac : (bfdPeer?.remoteAddress ?? ''),
        mac,
        sends: intervalUs === 0 ? '' : `every ${delay(intervalUs)}`,
        detection: detectionUs === 0n ? '' : delay(Number(detectionUs)),
        failures: liveness?.failures ?? '',
        failed,
        state,
        why: liveness?.diagnostic ?? '',
        remoteWhy: liveness?.remoteDiagnostic ?? '',
      };
      return { row, names: [name, machine] };
    });
    return { found, silent };
  },
};

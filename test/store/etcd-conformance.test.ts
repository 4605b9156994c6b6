/** The conformance suite on an etcd server of its own. */
import { afterAll, beforeAll, describe } from 'vitest';

import { conformance } from './conformance.js';
import { ETCD, etcdPlace, EtcdServer, needsEtcd } from './support.js';

describe.skipIf(!ETCD)(needsEtcd('etcd'), () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await EtcdServer.start();
  });
  afterAll(() => server.dispose());

  conformance(async () => etcdPlace(server));
});

/** The three APIs as the command line knows them: with the tables of their kinds. */
import { APIS, type LayerApi } from '../../resources/api.js';
import { type LayerName } from '../../resources/layer-name.js';
import { connectivityKinds } from './kinds/connectivity.js';
import { infrastructureKinds } from './kinds/infrastructure.js';
import { type ResourceKind } from './kinds/kind.js';
import { serviceKinds } from './kinds/service.js';

export { type AnyResource, type Body, bodyOf, type ResourceClient } from '../../resources/api.js';
export { type ResourceKind } from './kinds/kind.js';

export interface Layer extends LayerApi {
  readonly kinds: readonly ResourceKind[];
}

export const LAYERS: Readonly<Record<LayerName, Layer>> = {
  infrastructure: { ...APIS.infrastructure, kinds: infrastructureKinds },
  connectivity: { ...APIS.connectivity, kinds: connectivityKinds },
  service: { ...APIS.service, kinds: serviceKinds },
};

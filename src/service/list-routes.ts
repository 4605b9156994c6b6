/** ListRoutes: what one node's machine is told, by pages. */
import { messageType } from '../api/message.js';
import { paginate } from '../api/page.js';
import { type ListRoutesRequest, v1 } from '../api/service.js';
import { type Draft } from '../api/message.js';
import { type cabernet } from '../../gen/cabernet.js';
import { type Contents, type Row } from './contents.js';

const routeType = messageType(v1.ComputedRoute);

/** `contents`: undefined where the supplier has no such node yet. @throws ApiError PAGE_TOKEN_INVALID */
export function listRoutes(
  request: ListRoutesRequest,
  contents: Contents | undefined,
): Draft<cabernet.service.v1.ListRoutesResponse> {
  const page = paginate(contents?.rows() ?? [], request, {
    key: ({ destination }) => destination,
    list: `routes ${request.node}`,
    bytes: (row) => routeType.encode(shown(row)).length + 8,
  });
  return { routes: page.items.map(shown), nextPageToken: page.nextPageToken };
}

function shown({ destination, type, hops, source, distance }: Row): Draft<cabernet.service.v1.ComputedRoute> {
  return { destination, type, nextHops: hops, source, distance };
}

/** Graph algorithms of the controllers. Pure: it knows nothing of networks, and nothing outside this folder. */
export { GraphError, type GraphErrorCode } from './errors.js';
export { type Adjacency, type ArcFilter, type Graph, GraphBuilder } from './graph.js';
export { type Path } from './path.js';
export {
  type Direction,
  type SearchOptions,
  shortestPath,
  type ShortestPathTree,
  shortestPathTree,
} from './dijkstra.js';
export { nextHops } from './ecmp.js';
export { DynamicTree, type TreeUpdate } from './incremental.js';
export { kShortestPaths, pathsByWeight } from './yen.js';
export { type DisjointOptions, type DisjointPaths, disjointPaths } from './disjoint.js';
export { type BesideOptions, type PathBeside, pathBeside } from './beside.js';
export { type Penalties, type RiskGroups, type Shared, sharedBy } from './sharing.js';
export { type Bandwidth, type Constraint } from './constraint.js';
export { type WidestPath, widestPath } from './widest.js';
export { larac, type LaracAnswer } from './larac.js';
export {
  type ConstrainedAnswer,
  type ConstrainedOptions,
  constrainedPath,
  type Limit,
} from './constrained.js';

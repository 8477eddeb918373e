/**
 * The simulator. `simulate` runs a scenario with many seeds. A scenario makes a world: logs (`world.log`), and nodes with
 * programs on them (`world.node`), that use the logs over connections that fail (`node.open`), and coordinators
 * (`world.coordination`, `node.coordinate`). While there is a `storm`
 * nodes crash and stand still, answers are late or lost; when it is `calm` everything must come right. Time is virtual,
 * and everything that happens by chance is drawn from the seed.
 */
export { simulate, SimulationError, type Simulated, type SimulateOptions } from './simulate.js'
export { faultyLog, type FaultyLogOptions } from './faulty-log.js'
export type { Faults, LogFaults, NodeFaults } from './faults.js'
export type { NodeHandle, NodeOptions, Program, SimulatedNode } from './node.js'
export type { World } from './world.js'
export type { SimulatedCoordination, SimulatedLog } from './world-context.js'

/** Event-driven code inside one process: producers and consumers that know a bus, and not each other. */
export { eventBus, type EventBus, type EventBusOptions } from './bus.js'

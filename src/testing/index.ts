/**
 * What tests of your own need: time and chance under control.
 *
 * @packageDocumentation
 */
export { virtualClock, virtualRuntime, type VirtualClock, type VirtualRuntime } from './virtual-clock.js'

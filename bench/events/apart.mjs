// @ts-check
import { tasksOf } from '../apart.mjs'

/** Runs tasks of the event log. */
export const { apart, begin } = tasksOf(new URL('./tasks.mjs', import.meta.url))

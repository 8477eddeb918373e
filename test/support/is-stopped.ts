import { readFileSync, readdirSync } from 'node:fs'

/** Whether all threads of a process stand still (SIGSTOP): they stop one after the other. */
export function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).every((task) => readFileSync(`${tasks}/${task}/stat`, 'utf8').includes(' T '))
}

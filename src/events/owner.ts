import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'
import type { Random } from '../core/random.js'

/** Those of this thread that have not left. */
const present = new Set<string>()

/** Names whoever takes part in a subscription or runs a projection: the process it is in, and itself there. */
export function newOwner(random: Random): string {
  const owner = `${machine()}/${process.pid}/${threadId}.${Math.floor(random.next() * 2 ** 40).toString(36)}`
  present.add(owner)
  return owner
}

export function ownerLeft(owner: string): void {
  present.delete(owner)
}

/** Whether an owner is known to be gone, as its process on this machine is. False if there is no telling. */
export function isGone(owner: string): boolean {
  const [host, space, pid, self = ''] = owner.split('/')
  if (`${host}/${space}` !== machine()) return false
  if (Number(pid) === process.pid) return self.startsWith(`${threadId}.`) && !present.has(owner)
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

/**
 * This machine, as far as processes see each other there. Machines and containers may share a name: what their numbers
 * of processes belong to tells them apart.
 */
function machine(): string {
  let space = ''
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8)
    space = `${boot}-${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}`
  } catch {
    // Only Linux says so.
  }
  return `${hostname()}/${space}`
}

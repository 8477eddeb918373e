import { readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Random } from '../../../core/random.js'

/** Names this process: its machine, as far as processes see each other there, and its number. */
function processName(): string {
  let space = ''
  try {
    space = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
  } catch {
    // Only Linux keeps processes apart this way.
  }
  return `${hostname()}/${space}/${process.pid}`
}

/** Members of this process that have not left. */
const present = new Set<string>()

/** A name for a new member. */
export function newMember(random: Random): string {
  const member = `${processName()}/${Math.floor(random.next() * 2 ** 40).toString(36)}`
  present.add(member)
  return member
}

export function memberLeft(member: string): void {
  present.delete(member)
}

/** Whether a member is known to be gone, as its process on this machine is. False if there is no telling. */
export function isGone(member: string): boolean {
  const parts = member.split('/')
  const [host, space, pid] = parts
  const own = processName()
  if (`${host}/${space}` !== own.slice(0, own.lastIndexOf('/'))) return false
  if (Number(pid) === process.pid) return !present.has(member)
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

import { z } from 'zod'
import { parseAddress } from '../../address.js'
import { checkedBy } from './parts.js'

/** Where something listens. */
export const address = z.union([z.int().min(0).max(65_535), checkedBy(parseAddress)])

export { bucketOf, bucketOfHash } from '../../core/hashing/buckets.js'

# What the token of a node needs in Consul's ACL, and no more, for a cluster
# named sluice:
#   consul acl policy create -name sluice-node -rules @node-policy.hcl
#   consul acl token create -policy-name sluice-node

# The lock, the epoch, the wish for the next leader, what runs, and the nodes'
# own keys.
key_prefix "sluice/" {
  policy = "write"
}

# Which sink runs is not for nodes to decide: who can write this key runs code
# on all of them.
key "sluice/plugin" {
  policy = "read"
}

# With --leader-key elsewhere, that key too:
#key "service/distributed-logger/leader" {
#  policy = "write"
#}

service "sluice" {
  policy = "write"
}

# The name of the Consul agent that the node talks to, as `consul members` shows
# it. One policy for nodes on several agents needs session_prefix "".
session "agent" {
  policy = "write"
}

# The list of the nodes, for --follower forward and for sluice status.
node_prefix "" {
  policy = "read"
}

# Only for a node that reaches its agent over loopback and has no --advertise:
# it asks the agent for its address.
#agent "agent" {
#  policy = "read"
#}

"""The door itself: what stands between the network and the application, before anybody has said who they are."""

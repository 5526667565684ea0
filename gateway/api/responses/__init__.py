"""/v1/responses: pictures by OpenAI's Responses API, in two styles.

A request with a tool of type `image_generation` is answered as OpenAI answers it, with an `image_generation_call`. Any
other is answered as Modular MAX answers it, with a message that holds the pictures
(https://docs.modular.com/max/inference/image-generation).
"""

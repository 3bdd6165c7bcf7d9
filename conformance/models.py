"""Networks to export: those of torchvision and timm, and small ones of other kinds."""
import torch
from torch import nn

# By name: the library's own name, and the side of the image.
IMAGE_NETWORKS = {
    "mobilenet_v2": ("mobilenet_v2", 224), "mobilenet_v3_large": ("mobilenet_v3_large", 224),
    "efficientnet_b0": ("efficientnet_b0", 224), "mnasnet1_0": ("mnasnet1_0", 224),
    "shufflenet_v2_x1_0": ("shufflenet_v2_x1_0", 224), "squeezenet1_1": ("squeezenet1_1", 224),
    "resnet18": ("resnet18", 224), "resnet50": ("resnet50", 224), "vit_tiny": ("timm:vit_tiny_patch16_224", 224),
    "mobilenetv2_035_96": ("timm:mobilenetv2_035", 96),
    "densenet121": ("densenet121", 224), "googlenet": ("googlenet", 224), "inception_v3": ("inception_v3", 299),
    "regnet_y_400mf": ("regnet_y_400mf", 224), "convnext_tiny": ("convnext_tiny", 224), "swin_t": ("swin_t", 224),
    "efficientformer_l1": ("timm:efficientformer_l1", 224), "mobilevit_xxs": ("timm:mobilevit_xxs", 256),
    "ghostnet_100": ("timm:ghostnet_100", 224), "edgenext_xx_small": ("timm:edgenext_xx_small", 256),
    "levit_128s": ("timm:levit_128s", 224), "mobilenetv4_conv_small": ("timm:mobilenetv4_conv_small", 224),
    "efficientvit_b0": ("timm:efficientvit_b0", 224), "hrnet_w18_small": ("timm:hrnet_w18_small", 224),
}
FIRST = list(IMAGE_NETWORKS)[:10]


class Encoder(nn.Module):
    """A text encoder: embeddings, a mask, layers that normalise after each sum, a pooled classifier."""

    def __init__(self, vocabulary=1000, width=128, heads=4, layers=2, length=64):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.norm, self.heads = nn.LayerNorm(width), heads

        def layer():
            return nn.ModuleDict({
                "q": nn.Linear(width, width), "k": nn.Linear(width, width), "v": nn.Linear(width, width),
                "o": nn.Linear(width, width), "up": nn.Linear(width, 4 * width), "down": nn.Linear(4 * width, width),
                "first": nn.LayerNorm(width), "second": nn.LayerNorm(width)})

        self.layers = nn.ModuleList([layer() for _ in range(layers)])
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, 3)

    def forward(self, ids, mask):
        batch, length = ids.shape
        x = self.norm(self.token(ids) + self.position(torch.arange(length)))
        bias = (1 - mask[:, None, None, :].float()) * -1e4
        for layer in self.layers:
            q, k, v = (layer[i](x).view(batch, length, self.heads, -1).transpose(1, 2) for i in "qkv")
            a = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias, -1) @ v
            x = layer["first"](x + layer["o"](a.transpose(1, 2).reshape(batch, length, -1)))
            x = layer["second"](x + layer["down"](nn.functional.gelu(layer["up"](x))))
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


class Recurrent(nn.Module):
    """Two bidirectional LSTM layers, a GRU, and a classification of every step."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(40, 64, num_layers=2, bidirectional=True, batch_first=True)
        self.gru, self.out = nn.GRU(128, 48, batch_first=True), nn.Linear(48, 11)

    def forward(self, x):
        x, _ = self.lstm(x)
        x, h = self.gru(x)
        return torch.log_softmax(self.out(x), -1), h


class UNet(nn.Module):
    """Transposed convolutions, skips, three kinds of normalisation, a resized mask and its largest channel."""

    def __init__(self):
        super().__init__()

        def block(i, o, norm):
            return nn.Sequential(
                nn.Conv2d(i, o, 3, padding=1), norm, nn.LeakyReLU(0.1), nn.Conv2d(o, o, 3, padding=1), nn.ReLU())

        self.down1, self.down2 = block(3, 16, nn.BatchNorm2d(16)), block(16, 32, nn.GroupNorm(4, 32))
        self.down3 = block(32, 64, nn.InstanceNorm2d(64))
        self.up2, self.up1 = nn.ConvTranspose2d(64, 32, 2, stride=2), nn.ConvTranspose2d(32, 16, 4, 2, padding=1)
        self.join2, self.join1 = block(64, 32, nn.BatchNorm2d(32)), block(32, 16, nn.BatchNorm2d(16))
        self.out = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(nn.functional.max_pool2d(a, 2))
        c = self.down3(nn.functional.avg_pool2d(b, 2))
        y = self.join2(torch.cat([self.up2(c), b], 1))
        y = self.out(self.join1(torch.cat([self.up1(y), a], 1)))
        y = nn.functional.interpolate(y, scale_factor=1.5, mode="bilinear", align_corners=False)
        return torch.sigmoid(y), y.argmax(1)


class Audio(nn.Module):
    """Dilated one-dimensional convolutions with gates, attention and pooling, as for spotting words."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(40, 32, 5, padding=2)
        self.blocks = nn.ModuleList([nn.Conv1d(32, 64, 3, padding=2**i, dilation=2**i) for i in range(4)])
        self.attention, self.out = nn.MultiheadAttention(32, 4, batch_first=True), nn.Linear(64, 12)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            value, gate = block(x).chunk(2, 1)
            x = x + torch.tanh(value) * torch.sigmoid(gate)
        x = x.transpose(1, 2)
        y, _ = self.attention(x, x, x, need_weights=False)
        return self.out(torch.cat([y.mean(1), y.amax(1)], -1))


SMALL_NETWORKS = {
    "encoder": (Encoder, lambda: (torch.randint(0, 1000, (1, 48)), torch.ones(1, 48, dtype=torch.long))),
    "recurrent": (Recurrent, lambda: (torch.randn(1, 30, 40),)),
    "unet": (UNet, lambda: (torch.randn(1, 3, 96, 96),)),
    "audio": (Audio, lambda: (torch.randn(1, 40, 101),)),
}


def build(name):
    """The network with random weights and random statistics, and arguments for it."""
    torch.manual_seed(0)
    if name in SMALL_NETWORKS:
        make, arguments = SMALL_NETWORKS[name]
        network, inputs = make(), arguments()
    else:
        source, side = IMAGE_NETWORKS[name]
        if source.startswith("timm:"):
            import timm
            network = timm.create_model(source[5:], pretrained=False)
        else:
            import torchvision
            extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
            network = torchvision.models.get_model(source, weights=None, **extra)
        inputs = (torch.randn(1, 3, side, side),)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return network.eval(), inputs


def export(name, path):
    """Writes the network; a name that ends in `.dynamo` goes through PyTorch's newer exporter."""
    newer = name.endswith(".dynamo")
    network, inputs = build(name.removesuffix(".dynamo"))
    options = {"opset_version": 18, "external_data": False, "verbose": False} if newer else {"opset_version": 17}
    torch.onnx.export(network, inputs, path + ".part", dynamo=newer, **options)
